"""`import exitpin` takes what it takes: nothing but names, until one is asked for."""

import subprocess
import sys
from typing import Any

import pytest

import exitpin

HEAVY = ("sh", "asyncio", "stem", "psutil", "cloudpickle", "exitpin.wrappers", "exitpin.orchestrator", "importlib.util")


def loaded_by(script: str) -> list[str]:
    told = f"import sys; {script}; print([name for name in {HEAVY} if name in sys.modules])"
    return list(eval(subprocess.check_output([sys.executable, "-c", told], text=True)))


def test_to_import_it_imports_nothing_else() -> None:
    before = loaded_by("pass")
    assert loaded_by("import exitpin") == before
    assert {"sh", "stem", "psutil", "cloudpickle"}.isdisjoint(
        loaded_by("import exitpin; exitpin.open; exitpin.Session")
    )


def test_each_name_is_there_and_no_other() -> None:
    assert all(getattr(exitpin, name) is not None for name in exitpin.__all__)
    assert dir(exitpin) == sorted(exitpin.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        exitpin.nonsense  # noqa: B018 - that it is asked for is the test


def test_a_choice_is_written_as_options() -> None:
    from exitpin.exits import Choice

    assert [*Choice().words()] == []
    assert [*Choice("a:1").words()] == [*Choice(("a", 1)).words()] == ["--to=a:1"]
    assert [*Choice([("2001:db8::1", 1), "b:2"]).words()] == ["--to=[2001:db8::1]:1", "--to=b:2"]
    chosen = Choice((), ["A"], ["B"], ["C"], "d", True, 5, 0)
    words = ["--flag=A", "--not-flag=B", "--family=C", "--contact=d", "--sample=5", "--seed=0", "--bad-exits"]
    assert [*chosen.words()] == words
    assert [*Choice((), "Stable", "BadExit", "C").words()] == ["--flag=Stable", "--not-flag=BadExit", "--family=C"]


@pytest.mark.parametrize("to", [[("a", 1), 443], ["a:1", None], [("a", "1")], [("a", 1, 2)], 443])
def test_what_is_no_destination_is_not_left_out(to: Any) -> None:
    from exitpin.exits import Choice

    with pytest.raises(TypeError, match=r"is no destination: .*host:port"):
        [*Choice(to).words()]


NOT_ONE_RUN = [
    ["--repeat=2"], ["--repeat", "2"], ["-e", "exit02"], ["--exit=all"], ["--record=x"], ["--json"], ["--events", "x"],
    ["--joblog=x"], ["-j2"], ["--help"], ["-h"], ["--dry-run"], ["--"], ["--", "curl"], ["curl"], ["--lab"],
    ["--name=x"], ["--control=x"], ["--sample=1"], ["--timeout=1s"], ["--build-delay=1s"], ["--rep=2"],
    ["--resolve=no"],
]  # fmt: skip


@pytest.mark.parametrize("options", NOT_ONE_RUN, ids=" ".join)
def test_an_option_that_makes_it_something_else_than_one_run_is_refused(options: list[str]) -> None:
    from exitpin.options import options_of_a_run

    with pytest.raises(exitpin.OperatorError, match=r"is no option of one run|options="):
        options_of_a_run(options)


def test_options_that_leave_it_one_run_are_taken() -> None:
    from exitpin.options import options_of_a_run, options_of_an_audit

    taken = ["--to=a:1", "--allow", "listen", "--containment=notify", "--resolve=exit", "--bad-exits", "--wide"]
    assert options_of_a_run(taken) == taken
    assert options_of_an_audit(["--rate=20/m", "-j2"]) == ["--rate=20/m", "-j2"]
    for option in ("--dry-run", "--dry", "-h", "--help", "--lab", "--name=x", "--control=x", "--runs"):
        with pytest.raises(exitpin.OperatorError, match="is no option of an audit"):
            options_of_an_audit([option])


def test_how_firmly_runs_are_held_is_an_option_of_each() -> None:
    from exitpin.options import hold
    from exitpin.orchestrator.containment import APART, LEVELS

    for level in (*LEVELS, *APART):
        assert hold(level, ()) == [f"--containment={level}"]
    assert hold(None, "listen") == hold(None, ["listen"]) == ["--allow=listen"]
    for wrong in (lambda: exitpin.open(containment="much"), lambda: exitpin.Session(allow=["all"])):  # type: ignore[arg-type]
        with pytest.raises(exitpin.OperatorError, match=r"containment=much|allow=all"):
            wrong()
