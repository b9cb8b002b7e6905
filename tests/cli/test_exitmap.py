"""`exitpin exitmap` before anything is run: what is no module, and what makes no sense, with what to do."""

from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (None, (), "can't be read: No such file or directory. Name the module's file"),
        ("print 'python 2'\n", (), "line 1: this is not Python 3: "),
        ("def setup(): pass\n", (), "is no exitmap module: it defines no probe()."),
        ("def probe(*a): pass\n", ("--port", "70000"), "70000 is no port."),
        ("def probe(*a): pass\n", ("-H", ""), "'' is no host."),
        ("def probe(*a): pass\n", ("-H", "a b"), "'a b' is no host."),
        ("def probe(*a): pass\n", ("--host", "a\nb"), r"'a\nb' is no host."),
        ("def probe(*a): pass\n", ("--jobs", "0"), "--jobs wants a number from 1."),
    ],
)
def test_misuse_is_told_with_the_file_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, words: tuple[str, ...], said: str
) -> None:
    module = tmp_path / "tried.py"
    if text is not None:
        module.write_text(text)
    assert main(["exitmap", "--lab", str(module), *words]) == 2
    assert said in capsys.readouterr().err
