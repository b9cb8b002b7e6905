"""Audits of targets that are hostile to whoever reads their answers: bounded in time, memory and disk, never obeyed.

The exit is honest; what it brings is not. Looked at are the raw bytes that `exitpin` itself writes to a pipe and to a
terminal.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import start

from .captured import Bench, Done, obeyed, plain
from .conftest import _open as open_lab

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

EXITS = 6
RSS_MAX_KIB = 250 << 10
STORE_MAX_A_RECORD = 256 << 10
WEB_TOOLS = ("http-body", "http-headers", "download", "redirects", "exit-address")
PATHS = ("random/10000000", "regex", "escapes", "headers/100000", "endless", "slow")
CANARY = "canary"

# Takes what comes in every way there is, and says it in the reason of a finding.
ERROR = ("error", "parse")
TOOL = r'''
schema = "exitpin.tool/1"
id = "NAME"
summary = "What does a hostile target say?"
destination = [{ host = "evil.test", port = "80" }]
run.argv = ["sh", "-c", """COMMAND"""]
run.timeout = "6s"
run.retries = 0
extract.all = { regex = '(?s).+' }
extract.lines = { lines = true, as = "set" }
extract.words = { regex = '[^\s]+', all = true }
extract.key = { json = "/key" }
extract.pem = { pem = "CERTIFICATE", as = "sha256" }
extract.digest = { as = "sha256" }
extract.sorted = { filter = ["head", "-c", "1000"] }
extract.said = { from = "stderr" }
extract.kept = { from = "artifact:body", regex = '(?s).{1,200}' }
EXTRACT
baseline = { mode = "none" }
confirm = { runs = 1 }
keep = { stdout = "always", stderr = "always" }
verdict = [
  RULE
  { status = "tampered", when = [{ field = "all", absent = false }], reason = "{{all}} {{words}} {{said}} {{kept}}" },
  { status = "error", reason = "nothing" },
]
test = [{ expect = "error", stdout = "none.txt" }]
'''
CURL = "curl -qsS --max-time 5"
SAYS = {
    "random": f"{CURL} http://evil.test/random/10000000; head -c 3000000 /dev/urandom >&2",
    "escapes": f"{CURL} -i -o $EXITPIN_ARTIFACTS/body http://evil.test/escapes; cat $EXITPIN_ARTIFACTS/body; "
    "cat $EXITPIN_ARTIFACTS/body >&2",
    "a-million-lines": f"{CURL} http://evil.test/; yes line | head -n 1000000",
    "endless": f"{CURL} http://evil.test/endless",
    "many-headers": f"{CURL} -i http://evil.test/headers/100000",
    "the-shells-words": f"{CURL} -o /dev/null http://evil.test/; "
    "printf '%s' '$(touch CANARY) `touch CANARY` ; touch CANARY'",
    "too-much-on-disk": f"{CURL} -o /dev/null http://evil.test/; head -c 100000000 /dev/zero >$EXITPIN_ARTIFACTS/body; "
    "ln -s /etc/passwd $EXITPIN_ARTIFACTS/link; echo all",
}


@pytest.fixture(scope="module")
def lab_name() -> Iterator[str]:
    name = open_lab(f"output-{os.getpid()}", EXITS).name
    yield name
    start.down(name)


@pytest.fixture
def bench(lab_name: str, tmp_path: Path) -> Bench:
    return Bench(lab_name, tmp_path)


@pytest.fixture
def hold(bench: Bench, tell: Callable[[str, Mapping[str, object]], None]) -> Callable[[str, Done], None]:
    """Asserts what must be so after any audit, and shows its figures."""

    def to_the_promises(title: str, done: Done) -> None:
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert done.status in (0, 1, 3), done.stderr.decode()
        assert obeyed(done.stdout) == []
        assert obeyed(done.stderr) == []
        records, size = bench.records(), bench.store.stat().st_size
        tell(title, {
            "seconds": round(done.took_s, 1), "peak MiB": done.peak_kib >> 10, "records": len(records),
            "store KiB": size >> 10,
        })  # fmt: skip
        assert done.peak_kib < RSS_MAX_KIB
        assert size < len(records) * STORE_MAX_A_RECORD + (1 << 20)

    return to_the_promises


def look_at_results(bench: Bench) -> bytes:
    """All that `results` shows of what is stored, through a pipe and on a terminal; asserts that nothing is obeyed."""
    ids = [r["verdict_id"] for r in bench.records() if "verdict_id" in r]
    ids += [r["run_id"] for r in bench.records() if r["schema"] == "exitpin.run/1"][:2]
    said = b""
    for words in (["list"], ["list", "--json"], *(["show", one] for one in ids), ["show", "--json", ids[0]]):
        done = bench.run("results", *words)
        assert done.status == 0, done.stderr.decode()
        assert obeyed(done.stdout) == [] and obeyed(done.stderr) == []
        said += done.stdout
    for words in (["list"], ["show", ids[0]], ["show", ids[-1]]):
        assert obeyed(plain(bench.show("results", *words))) == []
    return said


def paths(scale: float) -> Sequence[str]:
    return PATHS if scale >= 1 else PATHS[1:3]


@pytest.mark.parametrize("path", PATHS)
def test_our_own_tools_withstand_a_hostile_web_server(
    bench: Bench, path: str, hold: Callable[[str, Done], None], scale: float
) -> None:
    if path not in paths(scale):
        pytest.skip("at full scale only")
    done = bench.audit("--json", *WEB_TOOLS, "-p", f"url=http://evil.test/{path}")
    hold(path, done)
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(verdict["tool"]["id"] for verdict in verdicts) == sorted(WEB_TOOLS)
    assert {verdict["status"] for verdict in verdicts} <= {"ok", "error"}, "an honest exit was accused"
    look_at_results(bench)


def test_a_chain_of_200_certificates_is_read_as_far_as_it_is_any_good(
    bench: Bench, hold: Callable[[str, Done], None]
) -> None:
    hold("a long chain", bench.audit("tls-cert", "-p", "host=long-chain.test"))
    (verdict,) = [record for record in bench.records() if "verdict_id" in record]
    assert verdict["status"] in ("ok", "error")


def own_tool(folder: Path, name: str, command: str, extract: str = "", rule: str = "") -> Path:
    (folder / "none.txt").write_text("")
    command = command.replace("CANARY", str(folder / CANARY)).replace("\\", "\\\\")
    path = folder / f"{name}.toml"
    path.write_text(
        TOOL.replace("NAME", name).replace("COMMAND", command).replace("EXTRACT", extract).replace("RULE", rule)
    )
    return path


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("form", ["json", "words"])
def test_what_a_tool_writes_is_told_and_never_obeyed(
    bench: Bench, tmp_path: Path, name: str, form: str, hold: Callable[[str, Done], None]
) -> None:
    tool = own_tool(tmp_path, name, SAYS[name])
    done = bench.audit(str(tool), *(["--json", "--runs"] if form == "json" else []))
    hold(f"{name}, as {form}", done)
    (verdict,) = [record for record in bench.records() if "verdict_id" in record]
    assert verdict["status"] == "tampered", verdict["reason"]
    assert done.status == 1
    if form == "json":
        assert all(json.loads(line) for line in done.stdout.splitlines())
    else:
        assert len(done.stdout.splitlines()) == 1
    look_at_results(bench)
    assert not (tmp_path / CANARY).exists()
    assert b"root:" not in json.dumps(verdict).encode()


def test_placeholders_that_a_target_writes_are_not_filled_in(bench: Bench, tmp_path: Path) -> None:
    done = bench.audit(str(own_tool(tmp_path, "placeholders", f"{CURL} http://evil.test/escapes | grep -a run.id")))
    (verdict,) = [record for record in bench.records() if "verdict_id" in record]
    assert "{{run.id}}" in verdict["reason"]
    assert b"{{run.id}}" in done.stdout


def test_a_terminal_gets_nothing_but_our_own_progress(bench: Bench, tmp_path: Path) -> None:
    tool = own_tool(tmp_path, "escapes", SAYS["escapes"])
    shown = bench.show("audit", "--lab", "--name", bench.name, "-e", "exit01", str(tool))
    assert b"tampered" in shown
    assert obeyed(plain(shown)) == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('{ status = "broken", when = [{ field = "naive", absent = true }, { field = "twice", is = "x" }] },', ERROR),
        ("", ("tampered", None)),
    ],
    ids=["a rule asks for it", "no rule asks for it"],
)
def test_a_pattern_that_explodes_holds_up_nobody_and_is_an_error_of_ours_where_a_rule_asks_for_it(
    bench: Bench, tmp_path: Path, hold: Callable[[str, Done], None], rule: str, told: tuple[str, str | None]
) -> None:
    naive = "extract.naive = { regex = '(a+)+$' }\nextract.twice = { regex = '(x+x+)+y', all = true }"
    tool = own_tool(tmp_path, "explodes", f"{CURL} http://evil.test/regex", naive, rule)
    done = bench.audit(str(tool), "--repeat", "6")
    hold("a pattern that explodes", done)
    (verdict,) = [record for record in bench.records() if "verdict_id" in record]
    assert (verdict["status"], verdict["layer"]) == told
    assert done.took_s < 60.0
