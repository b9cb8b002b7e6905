"""Values that these tests speak of: a few relays, runs and claims, and Tor's lines about them as Tor words them."""

from exitpin.orchestrator.control_lines import CircEvent, StreamEvent, parse_circ, parse_stream
from exitpin.orchestrator.model import Claim, Destination, Endpoint, Fingerprint, Relay, Run
from exitpin.orchestrator.policy import parse_policy

FLAGS = frozenset({"Exit", "Fast", "Guard", "Running", "Stable", "Valid"})


def fingerprint(number: int) -> Fingerprint:
    return Fingerprint(f"{number:040X}")


EXIT, OTHER_EXIT, GUARD = fingerprint(0xE1), fingerprint(0xE2), fingerprint(0xAA)


def relay(number: int, **changes: object) -> Relay:
    """A relay that does everything, in a /16 of its own."""
    given = {
        "fingerprint": fingerprint(number),
        "nickname": f"relay{number}",
        "address": f"198.{number % 256}.0.1",
        "or_port": 9001,
        "flags": FLAGS,
        "policy": parse_policy("accept *:*"),
        "bandwidth": 100,
        **changes,
    }
    return Relay(**given)  # type: ignore[arg-type]


def run(index: int = 1, **changes: object) -> Run:
    given = {
        "run_id": f"s-{index:04d}",
        "index": index,
        "exit": relay(0xE1),
        "argv": ("curl", "-sS", "http://example.com/"),
        "address": f"127.64.0.{index}",
        "nonce": bytes([index]) * 16,
        "timeout_s": 30.0,
        **changes,
    }
    return Run(**given)  # type: ignore[arg-type]


def claim(number: int = 1, **changes: object) -> Claim:
    """A connection of run 1, from port 40000 + number, for circuit 7 to EXIT."""
    given = {
        "run_id": "s-0001",
        "connection": number,
        "source": Endpoint("127.64.0.1", 40000 + number),
        "tag": f"s-0001.{number}.secret",
        "destination": Destination("example.com", 80),
        "circuit_id": 7,
        "exit": EXIT,
        **changes,
    }
    return Claim(**given)  # type: ignore[arg-type]


def stream_line(
    stream_id: int,
    status: str,
    circuit_id: int = 0,
    *,
    target: str = "example.com:80",
    tag: str | None = "s-0001.1.secret",
    source: Endpoint | None = None,
    words: str = "",
) -> str:
    """`STREAM ...`, with the tail that Tor 0.4.9 puts on every status."""
    address = f" SOURCE_ADDR={source}" if source else ""
    purpose = (
        "" if "PURPOSE" in words else {"NEW": " PURPOSE=USER", "NEWRESOLVE": " PURPOSE=DNS_REQUEST"}.get(status, "")
    )
    name = f' SOCKS_USERNAME="{tag}" SOCKS_PASSWORD="exitpin"' if tag is not None else ""
    tail = " CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4 ISO_FIELDS=SESSION_GROUP,NYM_EPOCH"
    return f"STREAM {stream_id} {status} {circuit_id} {target}{words}{address}{purpose}{name}{tail}"


def stream_event(stream_id: int, status: str, circuit_id: int = 0, **more: object) -> StreamEvent:
    return parse_stream(stream_line(stream_id, status, circuit_id, **more))  # type: ignore[arg-type]


def new_event(stream_id: int, claim: Claim, **changes: object) -> StreamEvent:
    """The NEW line of a claim's stream."""
    status = "NEWRESOLVE" if claim.is_lookup else "NEW"
    given: dict[str, object] = {"source": claim.source, "tag": claim.tag, "target": str(claim.destination), **changes}
    return stream_event(stream_id, status, **given)


def circ_line(circuit_id: int, status: str, path: tuple[Fingerprint, ...] = (GUARD, EXIT), words: str = "") -> str:
    hops = " " + ",".join(f"${name}~relay" for name in path) if path else ""
    return f"CIRC {circuit_id} {status}{hops} PURPOSE=GENERAL TIME_CREATED=2026-01-02T03:04:05.000006{words}"


def circ_event(
    circuit_id: int, status: str, path: tuple[Fingerprint, ...] = (GUARD, EXIT), words: str = ""
) -> CircEvent:
    return parse_circ(circ_line(circuit_id, status, path, words))
