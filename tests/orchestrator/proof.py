"""A session's evidence and records that agree: two runs, a connect, a look-up and its connect, one foreign stream."""

from exitpin.orchestrator.model import Claim, Destination, Endpoint, Fingerprint
from exitpin.shim import bindings

from .values import EXIT, GUARD, OTHER_EXIT, circ_line, claim, stream_line

Entry = dict[str, object]
Record = dict[str, object]

ONE = claim(1)
LOOKUP = claim(
    1, run_id="s-0002", source=Endpoint("127.64.0.2", 50001), tag="s-0002.1.b", circuit_id=8, exit=OTHER_EXIT,
    destination=Destination("web.test", 0), is_lookup=True,
)  # fmt: skip
TWO = claim(
    2, run_id="s-0002", source=Endpoint("127.64.0.2", 50002), tag="s-0002.2.c", circuit_id=8, exit=OTHER_EXIT,
    destination=Destination("2001:db8::9", 443),
)  # fmt: skip
PIDS = {"s-0001": 101, "s-0002": 202}
NONCES = {"s-0001": b"\x01" * 16, "s-0002": b"\x02" * 16}


def tor(line: str) -> Entry:
    return {"t": 1.0, "tor": line}


def begin(run_id: str, exit: Fingerprint, address: str) -> Entry:
    told = {"exit": exit, "address": address, "nonce": NONCES[run_id].hex(), "argv": ["true"]}
    return {"t": 1.0, "run": run_id, "begin": told}


def report(one: Claim) -> Entry:
    """CONNECT, as the hook of the claim's run sends it; an IPv6 socket is bound to a mapped address."""
    is_v6 = ":" in one.destination.host
    source = bindings.Endpoint(
        10 if is_v6 else 2, f"::ffff:{one.source.host}" if is_v6 else one.source.host, one.source.port
    )
    to = bindings.Endpoint(10, one.destination.host, 443) if is_v6 else bindings.Endpoint(2, "198.18.0.1", 80)
    pid = PIDS[one.run_id]
    packet = bindings.encode_report(2, NONCES[one.run_id], pid=pid, tid=pid, source=source, destination=to)
    return {"t": 1.0, "run": one.run_id, "pid": pid, "report": packet.hex()}


def claimed(one: Claim) -> Entry:
    told = {
        "source": str(one.source), "tag": one.tag, "circuit": one.circuit_id, "exit": one.exit,
        "destination": str(one.destination),
    }  # fmt: skip
    return {"t": 1.0, "run": one.run_id, "connection": one.connection, "claim": told}


def stream(stream_id: int, status: str, one: Claim, circuit_id: int = 0, words: str = "", target: str = "") -> Entry:
    source = one.source if status.startswith("NEW") else None
    target = target or str(one.destination)
    return tor(stream_line(stream_id, status, circuit_id, target=target, tag=one.tag, source=source, words=words))


def evidence() -> list[Entry]:
    foreign = claim(9, tag="nobody", source=Endpoint("127.0.0.1", 6))
    return [
        {"schema": "exitpin.events/1", "session": "s", "tor": "0.4.9.11", "started": "now"},
        begin("s-0001", EXIT, "127.64.0.1"),
        begin("s-0002", OTHER_EXIT, "127.64.0.2"),
        tor(circ_line(7, "LAUNCHED", ())),
        tor(circ_line(7, "BUILT", (GUARD, EXIT))),
        tor(circ_line(8, "BUILT", (GUARD, OTHER_EXIT))),
        report(ONE),
        claimed(ONE),
        claimed(LOOKUP),
        stream(1, "NEW", ONE),
        stream(1, "CONTROLLER_WAIT", ONE),
        stream(1, "SENTCONNECT", ONE, 7),
        stream(2, "NEWRESOLVE", LOOKUP),
        stream(2, "SENTRESOLVE", LOOKUP, 8),
        stream(3, "NEW", foreign),
        stream(3, "CLOSED", foreign, words=" REASON=MISC"),
        tor(stream_line(4, "NEW", target="198.51.100.7:9001", tag=None, words=" PURPOSE=DIR_FETCH")),
        tor(stream_line(4, "SENTCONNECT", 3, target="198.51.100.7:9001", tag=None)),
        stream(1, "REMAP", ONE, 7, " SOURCE=EXIT", "192.0.2.10:80"),
        stream(1, "SUCCEEDED", ONE, 7),
        stream(2, "REMAP", LOOKUP, 8, " SOURCE=EXIT", "192.0.2.9:0"),
        stream(2, "CLOSED", LOOKUP, 8, " REASON=DONE"),
        report(TWO),
        claimed(TWO),
        stream(5, "NEW", TWO),
        stream(5, "SENTCONNECT", TWO, 8),
        stream(5, "DETACHED", TWO, 8, " REASON=END REMOTE_REASON=MISC"),
        stream(5, "CONTROLLER_WAIT", TWO, 8),
        stream(5, "CLOSED", TWO, 0, " REASON=MISC"),
        stream(1, "CLOSED", ONE, 7, " REASON=DONE"),
        tor(circ_line(7, "CLOSED", (GUARD, EXIT), " REASON=REQUESTED")),
    ]


def recorded(stream_id: int, one: Claim, status: str, **more: object) -> Record:
    return {
        "pid": 0 if one.is_lookup else PIDS[one.run_id],
        "source_address": one.source.host,
        "source_port": one.source.port,
        "tag": one.tag,
        "destination": one.destination.host if one.is_lookup else str(one.destination),
        "is_lookup": one.is_lookup,
        "resolved": None,
        "stream_id": stream_id,
        "circuit_id": one.circuit_id,
        "status": status,
        "closed": True,
        "reason": None,
        "remote_reason": None,
        "witnesses": ["source-address", "source-port", "socks-username"],
        **more,
    }


def record(run_id: str, exit: Fingerprint, address: str, circuit_id: int, streams: list[Record]) -> Record:
    return {
        "run_id": run_id,
        "status": "ok",
        "exit": {"fingerprint": exit},
        "source_address": address,
        "circuits": [{"id": circuit_id, "path": [GUARD, exit], "reason": None}],
        "streams": streams,
        "failure": None,
    }


def records() -> list[Record]:
    one = recorded(1, ONE, "succeeded", resolved="192.0.2.10", reason="DONE")
    without = {"stream_id": None, "circuit_id": None, "tag": "s-0002.3.d", "closed": False}
    never_sent = {**recorded(0, TWO, "waiting"), **without}
    two = [
        recorded(2, LOOKUP, "succeeded", resolved="192.0.2.9"),
        recorded(5, TWO, "failed", reason="END", remote_reason="MISC"),
        never_sent,
    ]
    failed = {"status": "error", "failure": {"kind": "refused", "blame": "unknown"}}
    return [
        record("s-0001", EXIT, "127.64.0.1", 7, [one]),
        {**record("s-0002", OTHER_EXIT, "127.64.0.2", 8, two), **failed},
    ]
