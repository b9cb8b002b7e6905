"""The joblog: a line a run, whatever its command is made of."""

from pathlib import Path

from exitpin.orchestrator.cli.joblog import COLUMNS, Joblog
from exitpin.orchestrator.model import Fingerprint, Relay, Run, Times
from exitpin.orchestrator.policy import parse_policy
from exitpin.orchestrator.runs import Life


def test_a_command_of_any_bytes_stays_one_field_of_one_line(tmp_path: Path) -> None:
    relay = Relay(
        Fingerprint("A" * 40), "exit", "198.51.100.1", 9001, frozenset({"Exit"}), parse_policy("accept *:*"), 1
    )
    run = Run("s-0001", 1, relay, ("printf", "a\tb\nc\r\udcff"), "127.64.0.1", b"\x01" * 16, 30.0)
    Joblog(str(tmp_path / "log")).add(Life(run, Times(queue=1.0), str), 7)
    head, line, end = (tmp_path / "log").read_bytes().split(b"\n")
    assert (head, end) == ("\t".join(COLUMNS).encode(), b"")
    fields = line.split(b"\t")
    assert len(fields) == len(COLUMNS) and fields[-1] == b"printf a\\tb\\nc\\r\xff"
