"""The invariant of `streams.py` against whatever may come, and the negative controls that show that it is tested.

A stream is attached at most once, never to 0, and only to the open circuit that ends at its claim's exit, when source
address, source port and tag agree. Each witness is then taken away, and one attack passes that only it had stopped.
"""

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from exitpin.orchestrator.control_lines import CircEvent, StreamEvent
from exitpin.orchestrator.effects import AttachStream, CloseStream, Effect, StreamForeign
from exitpin.orchestrator.model import Claim, Endpoint
from exitpin.orchestrator.streams import Join, Streams, join_by_all_witnesses

from .values import EXIT, GUARD, OTHER_EXIT, circ_event, claim, new_event, stream_event
from .weak_joins import WEAK_JOINS, PortOnlyStreams

STREAM_IDS = st.integers(1, 6)
CIRCUITS = st.integers(1, 2)
RUNS = st.integers(1, 2)
PORTS = st.integers(1, 2)
TAGS = st.integers(0, 2)
EXITS = st.sampled_from([EXIT, OTHER_EXIT])
WORDS = st.sampled_from(
    ["CONTROLLER_WAIT", "SENTCONNECT", "SENTRESOLVE", "REMAP", "SUCCEEDED", "DETACHED", "FAILED", "CLOSED", "XOFF_RECV"]
)


class Chaos(RuleBasedStateMachine):
    """Every event may come at any time, with few values so that they collide; `model_*` is kept by the test alone."""

    table: Callable[[], Streams] = Streams

    def __init__(self) -> None:
        super().__init__()
        self.streams = type(self).table()
        self.model_claims: dict[tuple[Endpoint, str], Claim] = {}
        self.model_open: dict[int, str] = {}
        self.attached: set[int] = set()

    def check(self, effects: list[Effect], event: StreamEvent | None) -> None:
        for effect in effects:
            if not isinstance(effect, AttachStream):
                continue
            assert event is not None and event.status in ("NEW", "NEWRESOLVE"), "only NEW leads to an attach"
            assert event.source_addr is not None and event.socks_username is not None
            mine = self.model_claims.pop((event.source_addr, event.socks_username), None)
            assert mine is not None, "attached without a standing claim of that address, port and tag"
            assert effect == AttachStream(event.stream_id, mine.circuit_id)
            assert effect.circuit_id > 0
            assert self.model_open.get(mine.circuit_id) == mine.exit, "attached to a circuit that does not end there"
            assert effect.stream_id not in self.attached, "attached twice"
            self.attached.add(effect.stream_id)
        if event is not None and event.status == "NEW" and not any(isinstance(e, AttachStream) for e in effects):
            assert CloseStream(event.stream_id, 1) in effects or CloseStream(event.stream_id, 5) in effects
            for key in [key for key, one in self.model_claims.items() if one not in self.streams.claims.values()]:
                del self.model_claims[key]  # a claim is spent by the stream that came for it, attached or not

    @initialize()
    def opens_circuits(self) -> None:
        for circuit, exit in ((1, EXIT), (2, OTHER_EXIT)):
            self.says_circ(circuit, "BUILT", exit, False)

    @rule(run=RUNS, port=PORTS, tag=TAGS, circuit=CIRCUITS, exit=EXITS)
    def claims(self, run: int, port: int, tag: int, circuit: int, exit: str) -> None:
        one = claim(
            port, run_id=f"{run}", source=Endpoint(f"127.64.0.{run}", port), tag=f"{tag}", circuit_id=circuit, exit=exit
        )
        if self.streams.add_claim(one):
            self.model_claims[one.source, one.tag] = one

    @rule(run=RUNS, port=PORTS, tag=TAGS)
    def drops(self, run: int, port: int, tag: int) -> None:
        key = Endpoint(f"127.64.0.{run}", port), f"{tag}"
        self.streams.drop_claim(*key)
        self.model_claims.pop(key, None)

    @rule(run=RUNS)
    def ends_a_run(self, run: int) -> None:
        self.streams.drop_claims_of(f"{run}")
        self.model_claims = {key: one for key, one in self.model_claims.items() if one.run_id != f"{run}"}

    @rule(
        circuit=CIRCUITS,
        status=st.sampled_from(["BUILT", "CLOSED", "FAILED", "EXTENDED"]),
        exit=EXITS,
        linked=st.booleans(),
    )
    def says_circ(self, circuit: int, status: str, exit: str, linked: bool) -> None:
        event: CircEvent = circ_event(circuit, status, (GUARD, exit), " CONFLUX_ID=00" if linked else "")  # type: ignore[arg-type]
        self.streams.step_circuit(event)
        self.model_open.pop(circuit, None)
        if status == "BUILT" and not linked:
            self.model_open[circuit] = exit

    @rule(stream=STREAM_IDS, run=RUNS, port=PORTS, tag=TAGS, is_bare=st.booleans())
    def says_new(self, stream: int, run: int, port: int, tag: int, is_bare: bool) -> None:
        source = None if is_bare else Endpoint(f"127.64.0.{run}", port)
        event = stream_event(stream, "NEW", source=source, tag=f"{tag}")
        self.check(self.streams.step(event), event)

    @precondition(lambda self: self.streams.claims)
    @rule(stream=STREAM_IDS, pick=st.integers(0, 3), change=st.sampled_from(["", "", "host", "port", "tag"]))
    def says_new_of_a_claim(self, stream: int, pick: int, change: str) -> None:
        one = list(self.streams.claims.values())[pick % len(self.streams.claims)]
        host, port = one.source
        changes: dict[str, dict[str, object]] = {
            "host": {"source": Endpoint("127.64.0.9", port)},
            "port": {"source": Endpoint(host, 9)},
            "tag": {"tag": "9"},
        }
        event = new_event(stream, one, **changes.get(change, {}))
        self.check(self.streams.step(event), event)

    @rule(stream=STREAM_IDS, word=WORDS, circuit=st.integers(0, 2), tag=TAGS)
    def says_another_word(self, stream: int, word: str, circuit: int, tag: int) -> None:
        known = self.streams.streams.get(stream)
        name = known.claim.tag if known and tag else f"{tag}"
        event = stream_event(stream, word, circuit, tag=name, words=" REASON=END REMOTE_REASON=MISC")
        self.check(self.streams.step(event), event)

    @rule(stream=STREAM_IDS)
    def refuses_an_attach(self, stream: int) -> None:
        self.check(self.streams.refuse_attach(stream, True), None)


Chaos.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestWhateverComes = Chaos.TestCase
UNTIL_FOUND = settings(Chaos.TestCase.settings, max_examples=200, phases=[Phase.generate], report_multiple_bugs=False)


@pytest.mark.parametrize("name", WEAK_JOINS)
def test_the_invariant_is_seen_to_break_with_a_witness_less(name: str) -> None:
    class Weak(Chaos):
        table = staticmethod(lambda: Streams(WEAK_JOINS[name]))

    with pytest.raises(AssertionError, match="without a standing claim"):
        run_state_machine_as_test(Weak, settings=UNTIL_FOUND)


def pinned(join: Join, *claims: Claim) -> Streams:
    """A table with this join, these claims, and open circuits 7 and 8 to two exits."""
    streams = Streams(join)
    streams.step_circuit(circ_event(7, "BUILT", (GUARD, EXIT)))
    streams.step_circuit(circ_event(8, "BUILT", (GUARD, OTHER_EXIT)))
    for one in claims:
        assert streams.add_claim(one)
    return streams


VICTIM = claim()
OTHER_RUN = claim(
    2, run_id="s-0002", source=Endpoint("127.64.0.2", 40002), tag="s-0002.1.x", circuit_id=8, exit=OTHER_EXIT
)
# Each is refused by whoever looks at that witness, and by nobody else.
ATTACKS = {
    "without address": new_event(9, VICTIM, source=Endpoint("127.64.0.2", VICTIM.source.port)),
    "without port": new_event(9, VICTIM, source=Endpoint(VICTIM.source.host, 50000)),
    "without tag": new_event(9, VICTIM, tag=OTHER_RUN.tag),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("witness", ATTACKS)
def test_each_attack_passes_without_the_one_witness_that_stops_it(witness: str, attack: str) -> None:
    told = pinned(WEAK_JOINS[witness], VICTIM, OTHER_RUN).step(ATTACKS[attack])
    if witness == attack:
        assert AttachStream(9, VICTIM.circuit_id) in told
    else:
        assert [type(effect) for effect in told] == [CloseStream, StreamForeign]


@pytest.mark.parametrize("attack", ATTACKS)
def test_all_three_witnesses_stop_every_attack(attack: str) -> None:
    told = pinned(join_by_all_witnesses, VICTIM, OTHER_RUN).step(ATTACKS[attack])
    assert [type(effect) for effect in told] == [CloseStream, StreamForeign]


def reused_by_another_run(streams: Streams) -> StreamEvent:
    """Run 1's socket is gone before its stream came; run 2 gets the same port and has not been claimed."""
    streams.add_claim(VICTIM)
    streams.drop_claim(VICTIM.source, VICTIM.tag)
    return new_event(9, VICTIM, source=Endpoint("127.64.0.2", VICTIM.source.port), tag="s-0002.1.x")


def same_port_in_two_runs(streams: Streams) -> StreamEvent:
    """Two runs hold the same port at once; the stream of the one comes after the report of the other."""
    streams.add_claim(VICTIM)
    streams.add_claim(claim(1, run_id="s-0002", source=Endpoint("127.64.0.2", VICTIM.source.port), tag="s-0002.1.x",
                            circuit_id=8, exit=OTHER_EXIT))  # fmt: skip
    return new_event(9, VICTIM)


def never_reported(streams: Streams) -> StreamEvent:
    """A socket of nobody's, on a port that was reported once."""
    streams.add_claim(VICTIM)
    return new_event(9, VICTIM, source=Endpoint("127.0.0.1", VICTIM.source.port), tag=None)


@pytest.mark.parametrize("attack", [reused_by_another_run, same_port_in_two_runs, never_reported])
def test_exitmaps_rule_blames_the_wrong_exit_where_ours_does_not(attack: Callable[[Streams], StreamEvent]) -> None:
    for streams, is_ours in ((PortOnlyStreams(), False), (Streams(), True)):
        streams.step_circuit(circ_event(7, "BUILT", (GUARD, EXIT)))
        streams.step_circuit(circ_event(8, "BUILT", (GUARD, OTHER_EXIT)))
        told = streams.step(attack(streams))
        right = [AttachStream(9, 7)] if attack is same_port_in_two_runs else []
        attaches = [effect for effect in told if isinstance(effect, AttachStream)]
        assert (attaches == right) is is_ours
