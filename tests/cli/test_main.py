"""The command itself: what its caller left it of 0 to 2."""

import subprocess
import sys

import pytest

from exitpin.orchestrator.cli.main import INSIDE, VERBS, main

SCRIPT = """\
import os, sys
from exitpin.orchestrator.cli.main import INSIDE, VERBS, main
try:
    main(["--version"])
except SystemExit:
    pass
told = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)], [os.get_inheritable(fd) for fd in range(3)]
assert None not in (sys.stdin, sys.stdout, sys.stderr)
open(sys.argv[1], "w").write(repr(told))
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_are_filled_with_dev_null(closed: str, tmp_path: object) -> None:
    told = f"{tmp_path}/told"
    subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", SCRIPT, told], check=True, timeout=30)
    with open(told) as file:
        links, inheritable = eval(file.read())
    expected = ["<&-", ">&-", "2>&-"]
    assert inheritable == [True] * 3
    for fd, word in enumerate(expected):
        if word in closed.split():
            assert links[fd] == "/dev/null"


def test_the_help_lists_each_verb_and_those_for_the_inside_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(f"    {verb} " in told for verb in (*VERBS, *INSIDE))


@pytest.mark.parametrize("verb", INSIDE)
def test_a_verb_for_the_inside_of_a_run_is_refused_outside(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXITPIN", raising=False)
    assert main([verb, "a=1"]) == 2
    assert "is for scripts inside of a run" in capsys.readouterr().err
