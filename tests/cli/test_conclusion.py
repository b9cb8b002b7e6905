"""The exit status: 0 says that all of the plan was done, attributed and written down."""

import pytest

from exitpin.orchestrator.cli.conclusion import Ending, advised, conclude, conclude_foreground, unheld
from exitpin.orchestrator.containment import Abilities, Containment
from exitpin.orchestrator.events import Denied, ProcessExited, ProcessRefused
from exitpin.orchestrator.model import Failure, Fingerprint, Relay, Run, Times
from exitpin.orchestrator.policy import parse_policy
from exitpin.orchestrator.runs import DENIED_MAX, Life


def life(rc: int | None = 0, signo: int | None = None, failure: Failure | None = None) -> Life:
    relay = Relay(
        Fingerprint("A" * 40), "exit", "198.51.100.1", 9001, frozenset({"Exit"}), parse_policy("accept *:*"), 1
    )
    run = Run("s-0001", 1, relay, ("true",), "127.64.0.1", b"\x01" * 16, 30.0)
    one = Life(run, Times(queue=1.0), str)
    one.exited = None if rc is None and signo is None else ProcessExited(rc, signo)
    one.failure = failure
    return one


TOR = Failure("tor", "local", True, "tor went away")


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (Ending([life(), life()], 2), 0),
        (Ending([life(), life(1)], 2), 123),
        (Ending([life()], 2), 125),
        (Ending([], 2), 125),
        (Ending([life(), life()], 2, trust_lost="tor went away"), 125),
        (Ending([life(), life(failure=TOR)], 2), 125),
        (Ending([life()], 2, interrupted_by=15), 143),
        (Ending([life(), life()], 2, unwritten={"stdout": "Broken pipe"}), 125),
        (Ending([life(), life()], 2, unread=["parse"]), 123),
    ],
)
def test_several_runs_are_a_success_only_when_nothing_is_missing(ending: Ending, status: int) -> None:
    assert conclude(ending)[1] == status


def test_a_run_whose_facts_can_not_be_read_is_not_ok() -> None:
    assert conclude(Ending([life(), life()], 2, unread=["parse"]))[0][0].startswith("2 of 2 runs: 1 ok, 1 parse; ")


@pytest.mark.parametrize(
    ("ending", "status", "words"),
    [
        (Ending([life(3)], 1), 3, ""),
        (Ending([life(None, 9)], 1), 137, "true was ended by SIGKILL"),
        (Ending([life(None, 50)], 1), 178, "true was ended by signal 50"),
        (Ending([life(None, 13)], 1), 141, ""),
        (Ending([], 1), 125, "the command was not run: its run was never begun"),
        (Ending([], 1, trust_lost="tor went away"), 125, "the command was not run: tor went away"),
        (Ending([life()], 1, trust_lost="tor went away"), 125, "stopped: tor went away"),
        (Ending([life(3)], 1, unwritten={"/f": "No space"}), 125, "/f could not be written to its end: No space"),
        (Ending([life(failure=TOR)], 1), 125, "tor: tor went away"),
        (Ending([life()], 1, interrupted_by=2), 130, ""),
        (Ending([life(None)], 1), 125, ""),
    ],
)
def test_a_run_in_the_foreground_has_its_commands_status_only_if_it_was_done(
    ending: Ending, status: int, words: str
) -> None:
    sentences, found = conclude_foreground(ending)
    assert (found, "\n".join(sentences)) == (status, words)


def test_a_refused_command_is_named() -> None:
    one = life(None)
    one.refused = ProcessRefused("static", 126, "")
    sentences, status = conclude_foreground(Ending([one], 1))
    assert status == 126 and sentences[0].startswith("true is a static binary")


ONE = "refused: 1 program that hooks can't steer (/x/static)"
TWO = "refused: 2 programs that hooks can't steer (/x/static, ...)"
UDP = "UDP of dig"
RUNS, ANSWERS = "runs such programs", "answers questions to name servers"


@pytest.mark.parametrize(
    ("denied", "problem", "said"),
    [
        ([(7, "static", "/x/static"), (8, "static", "/x/static")], "", f"{ONE}: --containment notify {RUNS}"),
        ([(7, "static", "/x/static"), (7, "libc", "/x/musl")], "", f"{TWO}: --containment notify {RUNS}"),
        (
            [(7, "udp", ""), (7, "udp", "1.2.3.4:53"), (9, "udp", "")],
            "",
            f"refused: {UDP}: --containment notify {ANSWERS}",
        ),
        (
            [(7, "static", "/x/static"), (7, "udp", "")],
            "Yama forbids it",
            f"{ONE}, {UDP}: the level notify {RUNS} and {ANSWERS}, and it is not there: Yama forbids it",
        ),
        ([(9, "udp", "")], "", None),
        ([(7, "setuid", "/x/su"), (7, "raw", ""), (7, "listen", "")], "", None),
        ([], "", None),
    ],
)
def test_what_was_refused_and_would_not_be_at_another_level_is_told(
    denied: list[tuple[int, str, str]], problem: str, said: str | None
) -> None:
    one = life()
    one.processes = {7: "/usr/bin/dig", 9: "/usr/bin/curl"}
    one.denied = [Denied(*each) for each in denied]
    able = Abilities(6, problem, has_namespaces=True)
    assert unheld([one, life()], Containment("guard", abilities=able)) == ([] if said is None else [said])
    assert unheld([one, life()], Containment("notify", abilities=able)) == []


@pytest.mark.parametrize(
    ("denied", "said"),
    [
        (
            [(7, "listen", ""), (8, "listen", "")],
            "refused: listening on a Unix socket: --allow listen lets a tool do so",
        ),
        ([(7, "listen", "0.0.0.0:80"), (7, "udp", "")], None),
        (
            [(0, "dns", "web.test. IN MX of 127.0.0.53, which is private")],
            "refused: questions to a private resolver: --dns-server IP names one that exits reach",
        ),
    ],
)
def test_what_the_caller_can_allow_or_name_is_told(denied: list[tuple[int, str, str]], said: str | None) -> None:
    one = life()
    one.denied = [Denied(*each) for each in denied]
    assert advised([one, life()]) == ([] if said is None else [said])


def test_more_than_a_record_keeps_is_counted_as_far_as_that() -> None:
    one = life()
    one.processes = {7: "/usr/bin/dig"}
    one.denied = [Denied(7, "udp", str(number)) for number in range(DENIED_MAX)]
    assert unheld([one], Containment("guard", abilities=Abilities(6))) == [], "it has no name server without namespaces"
    assert unheld([one], Containment("guard", abilities=Abilities(6, has_namespaces=True))) == [
        f"refused, at least: {UDP}: --containment notify {ANSWERS}"
    ]
