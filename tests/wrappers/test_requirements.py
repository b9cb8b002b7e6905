"""Requirements: what is missing or too old is one sentence, and each program is asked once."""

import os
from pathlib import Path

import pytest

from exitpin.orchestrator.containment import Containment
from exitpin.orchestrator.tool import Command, Requirement, Rule, Status, Tool
from exitpin.wrappers.requirements import Requirements

SHIM = Containment("shim")


def tool(*wanted: Requirement) -> Tool:
    return Tool("t", "t", Command(argv=("true",)), (Rule(Status.OK),), requires=wanted)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A path with one program, `probe`, that prints what its argument says and counts how often it was asked."""
    program = tmp_path / "probe"
    program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\nprintf '%s\\n' \"$1\"\nprintf '%s\\n' \"$1\" >&2\n")
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def probe(prints: str, minimum: str = "", maximum: str = "", stream: str = "stdout") -> Requirement:
    return Requirement("probe", ("probe", prints), stream, r"^Probe (\S+)", minimum, maximum)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Requirement("probe"), None),
        (Requirement("no-such-program"), "no-such-program is not installed"),
        (Requirement("x", ("no-such-program", "-V")), "no-such-program is not installed"),
        (Requirement("false", ("false",)), "false: false failed with status 1"),
        (probe("Probe 1.10.0", minimum="1.9"), None),
        (probe("Probe 1.8.9", minimum="1.9"), "probe 1.8.9 is older than 1.9"),
        (probe("Probe 1.1.1w 11 Sep", minimum="1.1.1"), None),
        (probe("Probe OpenSSH_9.2p1,", minimum="8.0", maximum="9.2"), None),
        (probe("Probe 10.0", maximum="9.9"), "probe 10.0 is newer than 9.9"),
        (probe("Probe 9.18.49-1~deb12u3-Debian", minimum="9.11", stream="stderr"), None),
        (probe("hello"), "probe: no version in what probe hello prints"),
        (probe("Probe \x1b[J"), "probe: \\x1b[J is no version"),
        (Requirement("slow", ("sh", "-c", "yes"), regex="x"), "slow could not be asked for its version"),
    ],
)
def test_what_is_not_met_is_a_sentence(wanted: Requirement, sentence: str | None, environment: dict[str, str]) -> None:
    found = Requirements(environment, SHIM).unmet(tool(wanted))
    assert found == sentence or (found is not None and sentence is not None and found.startswith(sentence))


def test_the_first_that_is_not_met_is_told(environment: dict[str, str]) -> None:
    asked = tool(Requirement("probe"), Requirement("gone-1"), Requirement("gone-2"))
    assert Requirements(environment, SHIM).unmet(asked) == ("gone-1 is not installed")


def test_a_program_is_asked_once_for_all_tools(environment: dict[str, str], tmp_path: Path) -> None:
    requirements = Requirements(environment, SHIM)
    for _ in range(3):
        assert requirements.unmet(tool(probe("Probe 1.0"))) is None
    assert (tmp_path / "asked").read_text() == "x\n"


def test_what_was_found_is_known_afterwards(environment: dict[str, str]) -> None:
    requirements = Requirements(environment, SHIM)
    asked = tool(probe("Probe 1.10.0\x1b[31m"), Requirement("true"))
    assert requirements.versions(asked) == ""
    assert requirements.unmet(asked) is None
    assert requirements.versions(asked) == "probe 1.10.0\\x1b[31m"
