"""`exitpin results show`: all of it, in words, and nothing of it obeyed."""

import argparse
import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import results
from exitpin.orchestrator.cli.main import main
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.orchestrator.results.exhibit import Blob, exhibit, pack
from exitpin.orchestrator.results.store import Store

from ..orchestrator.recorded import run_record, scan_record, write
from ..orchestrator.report import hostile
from ..orchestrator.values import GUARD
from .recorded_audit import EXIT, fill
from .terminal import on_a_terminal

Show = Callable[..., str]


@pytest.fixture
def show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Show:
    path = tmp_path / "results.sqlite"
    fill(path)

    def run(*words: str) -> str:
        whole = argparse.ArgumentParser()
        results.register(whole.add_subparsers(required=True))
        args = whole.parse_args(["results", "show", "--store", str(path), *words])
        assert args.execute(args) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    "words",
    [
        "TAMPERED (critical): tls-cert through evil/00000000",
        EXIT.fingerprint,
        "the lab mine, tor 0.4.9",
        "tls-cert: Its own certificate?",
        "1: tampered when chain differs from what the controls agree on",
        "2 of 3 that got an answer lied; 2 in all",
        f"circuit 7: {GUARD} > {EXIT.fingerprint}",
        "stream 9 on circuit 7: 192.0.2.1:80",
        "from 127.64.0.1:40001 of pid 101; witnesses: source-address, source-port, socks-username",
        "controls   1 runs through 1 other exits, direct; ",
        "runs 0009",
        "consistent: the events of our own tor name this exit",
        "exitpin report email s1-v3",
        "exitpin replay s1-0001",
        f"exitpin results history {EXIT.fingerprint}",
        "exitpin results bundle s1-v3 -o FILE",
        f"exitpin audit tls-cert -e {EXIT.fingerprint} --lab --name mine -p host=example.org",
        "(its own record is not in the store)",
    ],
)
def test_a_verdict_tells_who_what_how_and_by_which_proof(words: str, show: Show) -> None:
    assert words in show("s1-v3")


def test_facts_on_which_the_controls_do_not_agree_are_told_as_such(show: Show) -> None:
    lines = show("s1-v3").splitlines()
    (chain,) = [line for line in lines if line.startswith("  chain: ")]
    assert chain.startswith("  chain: \\x1b]0;owned") and chain.endswith("(on this the controls do not agree)")
    assert any(line.startswith("  title: \\x1b]0;owned") for line in lines)


def test_a_run_is_shown_with_what_its_tool_wrote(show: Show) -> None:
    text = show("s1-0001")
    assert "run\n  s1-0001  probe, tampered" in text
    assert "stdout, as the tool wrote it\n  | \\x1b]0;owned" in text
    assert "lines more (--json has all that was kept)" in text
    assert "refused: udp" in text


def test_a_replay_is_shown_as_judged_by_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.sqlite"
    write(path, [run_record(1, role="replay", replays="s0-0001", verdict=None, facts={"verify_code": 18})])
    text = shown(path, "s1-0001", capsys)
    assert text.startswith("NOT JUDGED: tls-cert through Exit01/00000000\n")
    assert "run\n  s1-0001  replay, not judged\n" in text
    assert main(["results", "show", "s1-0001", "--json", "--store", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "ok", "the record tells how its process ended"


def test_an_error_tells_its_failure_and_its_layer(show: Show) -> None:
    text = show("s1-v2")
    assert text.startswith("ERROR: tls-cert through evil/00000000")
    assert "refused (blame: unknown, layer stream; not worth another try): " in text
    assert "none of 1 got an answer" in text


@pytest.mark.parametrize("name", ["s1-v3", "s1-v2", "s1-0001"])
def test_nothing_that_a_suspect_wrote_is_obeyed_or_makes_a_line(name: str, show: Show) -> None:
    lines = show(name).splitlines()
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("TAMPERED ") for line in lines[1:])


def test_json_is_the_record_and_only_ascii(show: Show) -> None:
    text = show("s1-v3", "--json")
    assert text.isascii() and all(line.isprintable() for line in text.splitlines())
    assert json.loads(text)["verdict_id"] == "s1-v3"


def test_the_beginning_of_an_id_is_enough_if_it_is_nobody_elses(show: Show) -> None:
    assert show("s0") == show("s0-v1")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("s1-v", r"several records\. Say one of s1-v1, s1-v2, s1-v3\."),
        ("x\033[31m", r"no record x\\x1b\[31m\. `exitpin results list`"),
        ("", "an empty id names no record"),
    ],
)
def test_an_id_that_is_not_just_one_is_refused(name: str, sentence: str, show: Show) -> None:
    with pytest.raises(OperatorError, match=sentence) as caught:
        show(name)
    assert caught.value.exit_status == EXIT_USAGE


def test_what_one_may_type_has_a_blank_for_each_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.sqlite"
    write(path, [run_record(1, reproduce="exitpin audit /home/me/sec.toml -e E1 -p 'token=(secret)'")])
    text = shown(path, "s1-0001", capsys)
    assert "to see it again  exitpin audit /home/me/sec.toml -e E1 -p token=...\n" in text
    assert "one run again    exitpin replay s1-0001 -p token=...\n" in text


# With evidence.


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "results.sqlite"
    hostile.fill(path)
    return path


def shown(path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["results", "show", name, "--store", str(path)]) == 0
    return capsys.readouterr().out


def test_certificates_and_bodies_are_compared_from_the_evidence(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(kept, f"{hostile.SCAN}-v0001tls-cert", capsys)
    assert "  the server's certificate, field by field\n" in text
    assert re.search(r"(?m)^    - 4 of 4 \S+.*\n    \+ 3 of 3 \S+", text)
    text = shown(kept, f"{hostile.SCAN}-v0001http-body", capsys)
    assert "  body, as the tool saved it\n" in text and "    + <script>document.title=" in text


def test_evidence_is_listed_with_its_digests_and_its_place(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(kept, f"{hostile.SCAN}-v0001http-body", capsys)
    digest = hashlib.sha256(hostile.EVIL_PAGE).hexdigest()
    assert f"evidence, in {kept}.evidence" in text
    assert f"    artifact:body  {len(hostile.EVIL_PAGE)} bytes\n      {digest}\n" in text


def test_a_narrow_terminal_cuts_no_digest(kept: Path) -> None:
    text = on_a_terminal(
        ["results", "show", f"{hostile.SCAN}-v0001http-body", "--store", str(kept)], environment={"NO_COLOR": "1"}
    )
    assert f"      {hashlib.sha256(hostile.EVIL_PAGE).hexdigest()}\n" in text


def test_nothing_comes_after_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = {"queue": 1.0, "circuit": 1.1, "first_stream": 1.2, "first_byte": 1.355, "end": 1.352}
    path = tmp_path / "results.sqlite"
    write(path, [run_record(9, t=times)])
    assert "first byte after 352 ms; end after 352 ms" in shown(path, "s1-0009", capsys)


@pytest.mark.parametrize("tool", hostile.TOOLS)
def test_no_page_obeys_what_stands_in_a_hostile_store(
    tool: str, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (f"{hostile.SCAN}-v0001{tool}", f"{hostile.SCAN}-0001{tool}0"):
        assert all(line.isprintable() for line in shown(kept, name, capsys).splitlines())
        assert hostile.SECRET_ADDRESS not in shown(kept, name, capsys)


def test_relays_on_a_circuit_have_the_nicknames_of_the_scans_own_consensus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = "AB" * 20, f"{1:040X}"
    identity = base64.b64encode(bytes.fromhex(first)).decode().rstrip("=")
    consensus = pack(f"network-status-version 3\nr firsthop {identity} x 2026-01-01 00:00:00 1.2.3.4 1 0\n".encode())
    run = run_record(1, circuits=[{"id": 7, "path": [first, last], "reason": None}])
    path = tmp_path / "results.sqlite"
    write(path, [run])
    with_consensus(path, scan_record(evidence=[exhibit("consensus", consensus)]), consensus)
    assert f"circuit 7: {first} firsthop > {last} Exit01" in shown(path, "s1-0001", capsys)


def with_consensus(path: Path, scan: dict[str, object], consensus: Blob) -> None:
    async def go() -> None:
        store = Store(path)
        store.add_scan(scan, [consensus])
        await store.close()

    asyncio.run(go())


# On a terminal.


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_on_a_terminal_it_has_colour_unless_somebody_wants_none(
    environment: dict[str, str], is_coloured: bool, kept: Path
) -> None:
    text = on_a_terminal(["results", "show", f"{hostile.SCAN}-v0001http-body", "--store", str(kept)], 80, environment)
    assert ("\x1b[1;31mTAMPERED" in text) is is_coloured
    assert ("\x1b[" in text) is is_coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert all(line.isprintable() for line in plain.splitlines())
    assert f"]0;{hostile.OWNED}" in plain  # as an escape that is shown


@pytest.mark.parametrize("width", [60, 132])
def test_it_is_as_wide_as_the_terminal(width: int, kept: Path) -> None:
    words = ["results", "show", f"{hostile.SCAN}-v0001tls-cert", "--store", str(kept)]
    lines = on_a_terminal(words, width, {"NO_COLOR": "1"}).splitlines()
    assert width - 12 < max(map(len, lines)) <= width
