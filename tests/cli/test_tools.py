"""`exitpin tools`, as a user calls it, in a home of its own."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main

from ..wrappers.tool_tables import MINIMAL, made, named, put

Call = Callable[..., int]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own layer. The current folder is `tmp_path/work`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(made(tmp_path / "work"))
    return made(tmp_path / "config" / "exitpin" / "tools.d")


@pytest.fixture
def call(user: Path) -> Call:
    return lambda *words: main(["tools", *words])


Output = pytest.CaptureFixture[str]


def test_list_has_a_line_for_each_tool_the_broken_ones_too(call: Call, user: Path, capsys: Output) -> None:
    put(user, "zz-good.toml", named("zz-good", "Good?"))
    put(user, "zz-broken.toml", named("zz-broken", "Bad\\u001b?") + "x = 1\n")
    assert call("list", "@web") == 0
    out, err = capsys.readouterr()
    assert [line.split("\t") for line in out.splitlines()] == [
        ["zz-broken", "", "broken", "web", f"{user}/zz-broken.toml", "Bad\\x1b?"],
        ["zz-good", "high", "ok", "web", f"{user}/zz-good.toml", "Good?"],
    ]
    assert err == "exitpin: One tool is broken: `exitpin tools check` says why.\n"


def test_list_as_json_tells_problems_and_where_from(call: Call, user: Path, capsys: Output) -> None:
    put(user, "zz-good.toml", named("zz-good"))
    put(user, "zz-broken.toml", "x = ")
    put(user.parent.parent.parent / "work" / "tools.d", "zz-clone.toml", named("zz-clone"))
    assert call("list", "--json") == 0
    found = {one["id"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    states = {name: found[name]["state"] for name in found if name.startswith("zz")}
    assert states == {"zz-good": "ok", "zz-broken": "broken", "zz-clone": "untrusted"}
    assert found["zz-good"]["path"] == str(user / "zz-good.toml")
    assert found["zz-good"]["problems"] == [] and len(found["zz-good"]["digest"]) == 64
    assert "not TOML" in found["zz-broken"]["problems"][0]
    assert "exitpin tools trust ./tools.d/zz-clone.toml" in found["zz-clone"]["refusals"][0]


def test_list_of_a_tag_that_is_none_names_those_there_are(call: Call, user: Path, capsys: Output) -> None:
    put(user, "zz-good.toml", named("zz-good"))
    assert call("list", "@wep") == 2
    assert "Did you mean @web?" in capsys.readouterr().err


def test_show_says_in_words_what_would_be_run_and_when_an_exit_is_accused(
    call: Call, user: Path, capsys: Output
) -> None:
    put(user, "probe.toml", MINIMAL + 'description = """First.\nSecond \\u001b[31m."""\n')
    assert call("show", "probe") == 0
    text = capsys.readouterr().out
    assert text.startswith("probe (high): Is the answer changed on the way?\n  First.\n  Second \\x1b[31m.\n")
    for words in (
        "runs      curl -qsS -o {{artifacts}}/body {{url}}",
        "needs     curl",
        "goes to   {{url}}",
        "takes     url (url), default http://web.example/",
        "links: every match of href=",
        "controls  3 other exits; 2 have to agree; no older than 15 min",
        "1. error if code is absent: no answer",
        "2. tampered if links has something that the controls lack: new: {{links}}",
        "4. ok otherwise",
        str(user / "probe.toml"),
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("parse", "told"),
    [
        ("status", "again when it says broken, or its circuit fails, up to 2 times"),
        ("tap", "again when its circuit fails"),
    ],
)
def test_show_does_not_promise_another_run_to_a_script_that_fails(
    call: Call, user: Path, capsys: Output, parse: str, told: str
) -> None:
    rules = MINIMAL[MINIMAL.index("verdict = [") :]
    put(user, "probe.toml", MINIMAL.replace(rules, f'run.parse = "{parse}"\n').replace("extract.", "# extract."))
    assert call("show", "probe") == 0
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["show", "cat"])
def test_what_can_not_be_shown_says_why(verb: str, call: Call, user: Path, capsys: Output) -> None:
    put(user, "probe.toml", "x = ")
    assert call(verb, "probe") == 2
    assert f"{user}/probe.toml: not TOML" in capsys.readouterr().err
    assert call(verb, "prode") == 2
    assert "Did you mean probe?" in capsys.readouterr().err


def test_cat_is_the_merged_file_with_origins(call: Call, user: Path, capsys: Output) -> None:
    put(user, "probe.toml", MINIMAL)
    put(user, "probe.toml.d/slow.toml", 'run.timeout = "9s"\n')
    assert call("cat", "probe") == 0
    text = capsys.readouterr().out
    assert tomllib.loads(text)["run"]["timeout"] == "9s"
    assert f'run.timeout = "9s"  # {user}/probe.toml.d/slow.toml' in text


def test_cat_shows_all_code_of_a_tool_that_is_not_trusted_yet(call: Call, user: Path, capsys: Output) -> None:
    clone = user.parent.parent.parent / "work" / "tools.d"
    argv = 'run.argv = ["sh", "{{tool_dir}}/scripts/own.sh", "{{url}}"]'
    text = "\n".join(argv if line.startswith("run.argv") else line for line in MINIMAL.splitlines())
    put(clone, "probe.toml", text)
    put(clone, "scripts/own.sh", "rm -rf \x1b[8m~\n")
    assert call("cat", "probe") == 0
    out, err = capsys.readouterr()
    assert tomllib.loads(out)["id"] == "probe"
    assert "#   rm -rf \\x1b[8m~" in out
    assert "exitpin tools trust ./tools.d/probe.toml" in err


def test_check_tells_every_error_and_warning_of_every_file(call: Call, user: Path, capsys: Output) -> None:
    put(user, "probe.toml", MINIMAL.replace("summary", "sumary") + 'redact = ["("]\n')
    put(user, "quiet.toml", named("quiet") + 'extract.more = { from = "stdout" }\n')
    put(user, "nobody.toml.d/x.toml", "tags = []\n")
    assert call("check") == 2
    out, err = capsys.readouterr()
    lines = out.splitlines()
    for start in (
        f"error: {user}/nobody.toml.d: drop-ins for a tool that there is not",
        f"error: {user}/probe.toml: summary: is missing",
        f'error: {user}/probe.toml: sumary: no such key; did you mean "summary"?',
        f"error: {user}/probe.toml: redact[0]: is no regular expression",
        f"warning: {user}/quiet.toml: extract.more: is used by no rule",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert "4 errors, 1 warning" in err


def test_check_of_what_is_right_is_0_also_of_files_that_are_not_trusted(
    call: Call, user: Path, capsys: Output, tmp_path: Path
) -> None:
    put(user, "quiet.toml", named("quiet"))
    put(tmp_path / "work" / "tools.d", "probe.toml", MINIMAL)
    put(tmp_path / "work" / "tools.d", "scripts/plain.sh", "true\n")
    for words in (["quiet"], ["probe"], ["./tools.d/probe.toml"], ["tools.d"]):
        assert call("check", *words) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith("exitpin: 1 tool, 0 errors, 0 warnings\n")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("nothing", "There is no tool 'nothing'"),
        ("./nothing.toml", "can't be read"),
        ("probe.toml.d/x.toml", "drop-in"),
    ],
)
def test_check_of_what_is_not_there_is_an_error(
    word: str, told: str, call: Call, tmp_path: Path, capsys: Output
) -> None:
    put(tmp_path / "work" / "probe.toml.d", "x.toml", "tags = []\n")
    assert call("check", word) == 2
    out, err = capsys.readouterr()
    assert told in out + err


@pytest.mark.parametrize("words", [(), ("--script",)])
def test_new_writes_a_file_that_is_right_and_never_overwrites(
    words: tuple[str, ...], call: Call, user: Path, capsys: Output
) -> None:
    assert call("new", "my-check", *words) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.is_relative_to(user)
    assert path.stat().st_mode & 0o022 == 0
    assert call("check", "my-check") == 0
    assert capsys.readouterr().err == "exitpin: 1 tool, 0 errors, 0 warnings\n"
    path.write_text("mine")
    assert call("new", "my-check", *words) == 2
    assert "is there already. Nothing was changed" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_new_refuses_a_name_that_is_none_and_says_one(call: Call, user: Path, capsys: Output) -> None:
    for name in ("My Check", "../My-check"):
        assert call("new", name) == 2
        assert "Write my-check." in capsys.readouterr().err
    assert list(user.iterdir()) == []


def test_trust_makes_a_tool_usable_until_it_changes(call: Call, user: Path, tmp_path: Path, capsys: Output) -> None:
    path = put(tmp_path / "work" / "tools.d", "probe.toml", MINIMAL)

    def state() -> str:
        capsys.readouterr()
        call("list", "--json", "@web")
        return str(json.loads(capsys.readouterr().out)["state"])

    assert state() == "untrusted"
    assert call("trust", "./tools.d/probe.toml") == 0
    assert capsys.readouterr().out.endswith("  tools.d/probe.toml\n")
    assert state() == "ok"
    path.write_text(MINIMAL + "\n")
    assert state() == "untrusted"
    assert call("trust", "./tools.d") == 0
    assert state() == "ok"


def test_trust_is_not_given_to_what_is_not_there_or_not_ones_own(
    call: Call, tmp_path: Path, user: Path, capsys: Output
) -> None:
    put(tmp_path / "work" / "tools.d", "probe.toml", MINIMAL, 0o666)
    made(tmp_path / "work" / "empty")
    for word, told in (
        ("./tools.d", "chmod go-w"),
        ("probe", "probe: No such file or directory. Name a file or a folder."),
        ("empty", "There are no tools in empty. Nothing was trusted."),
    ):
        assert call("trust", word) == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_starting_a_run_does_not_wait_for_the_reading_of_tools() -> None:
    code = (
        "import sys; from exitpin.orchestrator.cli.main import _parser\n"
        "_parser(['run']); assert not {'pydantic', 'regex', 'tomllib'} & set(sys.modules), sys.modules\n"
        "_parser(['tools', 'list']); sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("verb", ["", "list", "show", "cat", "check", "new", "trust"])
def test_help_teaches_with_examples(verb: str, call: Call, capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        call(*filter(None, [verb]), "--help")
    assert caught.value.code == 0
    assert f"  exitpin tools {verb}" in capsys.readouterr().out
