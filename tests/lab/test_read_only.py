"""`--read-only`, through `run --lab` and `sh --lab`: what a tool may write to, and that it works as ever otherwise."""

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from exitpin.wrappers.machine import abilities

from .conftest import Lab
from .daemons import CLIENT, serving
from .running import EXITPIN

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(abilities().read_only_problem), reason=abilities().read_only_problem),
]

SCRIPT = """
curl -sS -o "$EXITPIN_ARTIFACTS/page" http://web.test/ip && cat "$EXITPIN_ARTIFACTS/page"
exitpin emit kept=1
cat <<END
here
END
echo again > /dev/stderr
echo mine > given/file
for path in file given/../other; do echo x > $path || echo refused; done
ln given/file linked || echo refused
"""


@pytest.fixture(params=[False, True], ids=["alone", "with a daemon of ours"])
def words(lab: Lab, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The command, as it takes a lease or not."""
    with serving(lab) if request.param else nullcontext():
        yield [CLIENT] if request.param else [*EXITPIN]


@pytest.mark.parametrize("level", ["guard", "notify", "notify+netns"])
@pytest.mark.parametrize("verb", ["run", "sh"])
def test_a_tool_writes_where_it_may_and_nowhere_else(
    lab: Lab, words: list[str], verb: str, level: str, tmp_path: Path
) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "file").write_text("as it was")
    options = ["--lab", "--name", lab.state.name, "-e", "exit01", "--containment", level, "--read-only"]
    command = ["-c", SCRIPT] if verb == "sh" else ["--", "sh", "-c", SCRIPT]
    done = subprocess.run(
        [*words, verb, *options, "--allow", f"write:{tmp_path}/given", *command], cwd=tmp_path,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    address = lab.state.relay("exit01").address
    assert done.stdout.splitlines() == [address, "here", "refused", "refused", "refused"], done.stderr
    assert "again" in done.stderr
    assert (tmp_path / "file").read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "given"]
    assert (tmp_path / "given" / "file").read_text() == "mine\n"
