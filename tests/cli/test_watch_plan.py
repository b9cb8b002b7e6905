"""The plan of a watch: what becomes of it, and what is said of one that is wrong: file, key, and what to write."""

from pathlib import Path

import pytest

from exitpin.orchestrator.cli.watch_plan import load_plan
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.watch.plan import PlannedScan, WatchPlan

HEAD = 'schema = "exitpin.watch/1"\n'
SCAN = '[[scan]]\nname = "certs"\ntools = ["tls-cert"]\ninterval = "12h"\n'
ALERT = 'alert = { on = ["tampered"], command = ["x"], '


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "nightly.toml"


def refusal(file: Path, content: str | bytes) -> list[str]:
    """The lines that are said of it, without the name of the file that stands before each."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OperatorError) as refused:
        load_plan(file)
    assert refused.value.exit_status == 2
    assert refused.value.hint.strip() == "Nothing was started."
    lines = refused.value.message.splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines), lines
    return [line.removeprefix(f"{file}: ") for line in lines]


def test_a_plan_is_scans_each_with_what_audit_is_given(file: Path) -> None:
    file.write_text(
        HEAD + SCAN + 'jitter = "30m"\nrepeat = 2\nwide = true\ndirect_control = false\nbuild_delay = "5s"\n'
        'params = { "tls-cert.host" = "www.example.org", port = 443, "x.on" = true }\n'
        'select = { exits = ["exit01", "exit02"], flag = "Stable", sample = 20 }\n'
        'alert = { on = ["tampered", "suspect"], command = ["/bin/page", "-x"], timeout = "5m" }\n'
        '[output]\nstore = "/var/lib/r.sqlite"\nstatus = "s.json"\n'
    )
    words = (
        "tls-cert", "--repeat=2", "--wide", "--build-delay=5s", "--exit=exit01", "--exit=exit02", "--flag=Stable",
        "--sample=20", "--param=tls-cert.host=www.example.org", "--param=port=443", "--param=x.on=true",
    )  # fmt: skip
    alert = ("--on=tampered,suspect", "--alert-timeout=300s", "--", "/bin/page", "-x")
    scan = PlannedScan("certs", 43200.0, 1800.0, words, alert, ("tampered", "suspect"))
    assert load_plan(file) == WatchPlan("nightly", (scan,), "/var/lib/r.sqlite", None, "s.json")


def test_a_plan_is_called_as_its_file_unless_it_says_otherwise(file: Path) -> None:
    file.write_text(HEAD + SCAN)
    assert load_plan(file).name == "nightly"
    file.write_text(f'name = "weekly"\n{HEAD}{SCAN}')
    assert load_plan(file).name == "weekly"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", 'schema: is missing; write schema = "exitpin.watch/1" at the top'),
        ('schema = "exitpin.watch/2"', 'schema: "exitpin.watch/2" is none that this version reads; write schema = "'),
        ("schema = 7", "schema: 7 is none that this version reads"),
        ("schema = ", "not TOML: "),
        (b"\xff", "not TOML: 'utf-8' codec can't decode"),
        (HEAD + f"a = {'[' * 5000}{']' * 5000}", "not TOML: "),
        (HEAD + "#" * (1 << 20), "it has more than 1 MiB"),
        (HEAD, "scan: is missing"),
        (HEAD + "scan = []", "scan: must be a list with something in it, not []"),
        (HEAD + 'scan = "certs"', 'scan: must be a list, not "certs"'),
        (HEAD + 'scan = ["certs"]', 'scan[0]: must be a table, not "certs"'),
        (f'nmae = "x"\n{HEAD}{SCAN}', 'nmae: no such key; did you mean "name"? Valid are schema, name, scan, output'),
        (f'name = "X y"\n{HEAD}{SCAN}', 'name: "X y" is no name: small letters, digits'),
        (HEAD + SCAN + SCAN, "scan: 2 scans are called certs; give each a name of its own"),
        (HEAD + SCAN + '[output]\nprom = "x"', "output.prom: no such key; "),
        (HEAD + SCAN + "[output]\nstore = 3", "output.store: must be a text, not 3"),
        (HEAD + SCAN.replace('"certs"', '"Certs!"'), 'scan[0].name: "Certs!" is no name: small letters, digits'),
        (HEAD + SCAN.replace('["tls-cert"]', "[]"), "scan[0].tools: must be a list with something in it, not []"),
        (HEAD + SCAN.replace('["tls-cert"]', '"tls-cert"'), 'scan[0].tools: must be a list, not "tls-cert"'),
        (HEAD + SCAN.replace("tls-cert", "--resume"), "scan[0].tools[0]: must be a tool (options are keys"),
        (HEAD + SCAN.replace('"12h"', '"soon"'), 'scan[0].interval: must be a time such as "45s"'),
        (HEAD + SCAN.replace('"12h"', '"10ms"'), "scan[0].interval: must be at least 1 s"),
        (HEAD + SCAN.replace('"12h"', "nan"), "scan[0].interval: must be a time such as"),
        (HEAD + SCAN.replace('interval = "12h"\n', ""), "scan[0].interval: is missing"),
    ],
)  # fmt: skip
def test_of_a_file_that_is_no_plan_it_is_said_where_and_why(file: Path, content: str | bytes, said: str) -> None:
    (line,) = refusal(file, content)
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("repeats = 2", 'repeats: no such key; did you mean "repeat"?'),
        ("prams = {}", 'prams: no such key; did you mean "params"?'),
        ("resume = true", "resume: no such key; "),
        ('repeat = "2"', 'repeat: must be a whole number, not "2"'),
        ("repeat = 0", "repeat: must be a whole number from 1 to 1000, not 0"),
        ("repeat = 1000000000000", "repeat: must be a whole number from 1 to 1000, not 1000000000000"),
        ("jobs = true", "jobs: must be a whole number, not true"),
        ("jobs = 5000", 'jobs: "5000" is not a whole number from 1 to 1000'),
        ('order = "alphabet"', "order: invalid choice: 'alphabet' (choose from 'random', 'need')"),
        ('wide = "yes"', 'wide: must be true or false, not "yes"'),
        ('rate = "fast"', 'rate: "fast" is not runs in a time, such as "20/m"'),
        ("build_delay = true", "build_delay: must be a text, not true"),
        ("build_delay = -3.5", 'build_delay: "-3.5" is not a time'),
        ("timeout = nan", 'timeout: "nan" is not a time'),
        ('timeout = "soon"', 'timeout: "soon" is not a time up to a day'),
        ('newcomers = "new"', "newcomers: "),
        ('containment = "none"', "containment: invalid choice: 'none'"),
        ('jitter = "some"', 'jitter: must be a time such as "45s"'),
        ('jitter = "13h"', "jitter: must be no longer than the interval, 43200 s"),
        ('params = "x"', 'params: must be a table, not "x"'),
        ('params = { host = ["a"] }', "params.host: must be a text, a number, true or false, not a list"),
        ("select = 3", "select: must be a table, not 3"),
        ("select = { exists = 1 }", "select.exists: no such key; did you mean"),
        ('select = { sample = "x" }', 'select.sample: must be a whole number, not "x"'),
        ("select = { sample = 0 }", "select.sample: --sample wants a number from 1."),
        ('select = { contact = "(" }', "select.contact: --contact '(' is no regular expression"),
        ('select = { to = "x" }', "select.to: 'x' is no destination. Write HOST:PORT"),
        ('select = { exits = "-" }', "select.exits: - is what a command line's input says; write @FILE"),
        ("output = {}", "output: no such key"),
        ("alert = 1", "alert: must be a table, not 1"),
        ('alert = { on = ["tampered"] }', "alert.command: is missing"),
        (
            'alert = { on = ["ok"], command = ["x"] }',
            "alert.on[0]: must be one of tampered, suspect, ",
        ),
        ('alert = { on = [], command = ["x"] }', "alert.on: must be a list with something in it, not []"),
        (ALERT + "to = 1 }", "alert.to: no such key; valid are on, command, timeout"),
        (ALERT + 'timeout = "2h" }', "alert.timeout: must be from 1 s to 3600 s"),
        (ALERT + 'timeout = "10ms" }', "alert.timeout: must be from 1 s to 3600 s"),
        (ALERT + 'timeout = "soon" }', 'alert.timeout: must be a time such as "45s"'),
        ('"\\u001b[2J" = 3', "\\x1b[2J: no such key"),
    ],
)
def test_of_a_scan_that_is_wrong_it_is_said_which_and_what_to_write(file: Path, key: str, said: str) -> None:
    (line,) = refusal(file, HEAD + SCAN + key + "\n")
    assert line.startswith(f"scan[0].{said}")


def test_all_that_is_wrong_is_told_at_once(file: Path) -> None:
    second = SCAN.replace("name", "nmae") + 'repeat = "x"\nselect = { exists = 1 }\n'
    lines = refusal(file, HEAD + SCAN.replace('"12h"', '"soon"') + 'rate = "fast"\n' + second)
    keys = {line.partition(": ")[0] for line in lines}
    assert keys == {
        "scan[0].interval", "scan[0].rate", "scan[1].name", "scan[1].nmae", "scan[1].repeat", "scan[1].select.exists",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["nowhere.toml", "."])
def test_a_file_that_can_not_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError) as refused:
        load_plan(tmp_path / name)
    assert refused.value.exit_status == 2
    assert "can't be read: " in refused.value.message and refused.value.hint == "Name the file of a plan."


@pytest.mark.parametrize("stem", ["my plan", "n\u00e4chtlich", "Nightly", ".nightly", "x" * 65, "a\n", "a\x1b[2J"])
def test_a_plan_whose_file_has_no_fit_name_has_to_have_one_of_its_own(tmp_path: Path, stem: str) -> None:
    path = tmp_path / f"{stem}.toml"
    path.write_text(HEAD + SCAN)
    with pytest.raises(OperatorError) as refused:
        load_plan(path)
    assert refused.value.exit_status == 2
    assert 'give the plan a name = "..."' in refused.value.message and refused.value.message.isprintable()
    path.write_text(f'name = "weekly"\n{HEAD}{SCAN}')
    assert load_plan(path).name == "weekly"
