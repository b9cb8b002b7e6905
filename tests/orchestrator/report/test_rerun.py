"""A run beside the same run made again: what makes them differ, and what is only shown."""

from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.report.rerun import Made, Rerun, compare
from exitpin.orchestrator.report.told import HEAD, HERE, NOTE, THERE

FIXTURES = Path(__file__).resolve().parents[3] / "tools.d" / "fixtures" / "tls-cert"
STREAM = {"destination": "example.org:443", "status": "succeeded", "reason": "DONE", "resolved": "192.0.2.1"}
FACTS = {"chain": ["a", "b"], "code": 200, "title": None}


def made(facts: dict[str, Any] = FACTS, pieces: dict[str, bytes] | None = None, **changes: Any) -> Made:
    record = {
        "process": {"rc": 0},
        "failure": None,
        "streams": [STREAM],
        "t": {"queue": 1.0, "circuit": 2.0, "end": 4.0},
    }
    return Made({**record, **changes}, facts, pieces or {})


def rerun(then: Made, now: Made) -> Rerun:
    return compare(then, now, lambda: 0.0)


def lines(found: Rerun, mark: str) -> list[str]:
    return [line.text for line in found.lines if line.mark == mark]


def test_two_that_are_alike_are_the_same() -> None:
    found = rerun(made(), made())
    assert found.differs == []
    assert "the same: end, failure, connections, fact chain, fact code, fact title" in lines(found, NOTE)


@pytest.mark.parametrize(
    ("now", "differs"),
    [
        (made(process={"rc": 1}), ["end"]),
        (made(process={"rc": None, "timed_out": True}), ["end"]),
        (made(failure={"kind": "timeout", "blame": "unknown"}), ["failure"]),
        (made(streams=[{**STREAM, "status": "failed", "reason": "MISC"}]), ["connections"]),
        (made(streams=[STREAM, STREAM]), ["connections"]),
        (made({**FACTS, "code": 403}), ["fact code"]),
        (made({**FACTS, "chain": ["a", "c"]}), ["fact chain"]),
        (made({"code": 200, "title": None}), ["fact chain"]),
        (made({**FACTS, "title": "x"}), ["fact title"]),
    ],
)
def test_facts_end_failure_and_connections_decide(now: Made, differs: list[str]) -> None:
    assert rerun(made(), now).differs == differs


def test_of_a_set_what_came_and_what_went_is_told() -> None:
    found = rerun(made(), made({**FACTS, "chain": ["a", "c"]}))
    assert (lines(found, THERE), lines(found, HERE)) == (["b"], ["c"])


def test_where_a_name_led_what_was_written_and_how_long_it_took_decide_nothing() -> None:
    now = made(
        pieces={"stdout": b"one\nthree\n"}, streams=[{**STREAM, "resolved": "192.0.2.9"}], t={"queue": 1, "circuit": 9}
    )
    found = rerun(made(pieces={"stdout": b"one\ntwo\n"}), now)
    assert found.differs == []
    assert lines(found, THERE) == ["example.org:443 at 192.0.2.1", "two"]
    assert lines(found, HERE) == ["example.org:443 at 192.0.2.9", "three"]
    assert any("stdout: 8 bytes then, 10 now" in line for line in lines(found, HEAD))
    assert any(line.startswith("times: circuit 1 s then, 8 s now") for line in lines(found, NOTE))


def test_what_the_nonce_stood_for_is_no_difference() -> None:
    def asked(nonce: str) -> Made:
        stream = {**STREAM, "destination": f"{nonce}.example.org"}
        return made({"name": f"{nonce}.example.org"}, {"stdout": nonce.encode()}, nonce=nonce, streams=[stream])

    found = rerun(asked("0123456789abcdef"), asked("fedcba9876543210"))
    assert found.differs == []
    assert lines(found, THERE) == lines(found, HERE) == []


def test_another_certificate_is_told_field_by_field() -> None:
    then, now = ({"stdout": (FIXTURES / f"{name}.txt").read_bytes()} for name in ("honest", "self-signed"))
    found = rerun(made(pieces=then), made({**FACTS, "chain": ["c"]}, pieces=now))
    assert "the server's certificate, field by field" in lines(found, HEAD)
    assert found.differs == ["fact chain"]


def test_what_only_one_of_them_kept_is_said() -> None:
    found = rerun(made(pieces={"stdout": b"x"}), made(pieces={"stderr": b"y"}))
    assert {"kept then only: stdout", "kept now only: stderr"} <= set(lines(found, NOTE))
