"""A declared tool's folders, environment and limits, and how much it left."""

import os
from pathlib import Path

import pytest

from exitpin.orchestrator.model import Setup
from exitpin.wrappers.workspace import (
    ENTRIES_MAX,
    artifacts_size,
    launcher_options,
    make_workspace,
    workspace_environment,
)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(str(tmp_path / "7"), (("LANG", "C"),), artifacts_max=1000)


@pytest.fixture
def artifacts(setup: Setup) -> Path:
    make_workspace(setup)
    return Path(setup.directory, "artifacts")


def test_what_is_made_is_the_runs_alone(setup: Setup) -> None:
    make_workspace(setup)
    made = {path.name: path.stat().st_mode & 0o777 for path in Path(setup.directory).iterdir()}
    assert made == {"home": 0o700, "artifacts": 0o700, "evidence": 0o700, "facts": 0o600}
    assert Path(setup.directory, "facts").read_bytes() == b""


@pytest.mark.parametrize("name", ["home", "artifacts", "evidence", "facts"])
def test_what_is_there_already_is_not_taken(setup: Setup, name: str) -> None:
    os.mkdir(setup.directory)
    Path(setup.directory, name).symlink_to("/tmp")
    with pytest.raises(FileExistsError):
        make_workspace(setup)


def test_the_environment_is_the_setups_with_the_names_of_its_places(setup: Setup) -> None:
    assert workspace_environment(setup) == {
        "LANG": "C",
        "HOME": f"{setup.directory}/home",
        "EXITPIN_ARTIFACTS": f"{setup.directory}/artifacts",
        "EXITPIN_EVIDENCE": f"{setup.directory}/evidence",
        "EXITPIN_FACTS": f"{setup.directory}/facts",
    }


def test_limits_are_the_launchers_arguments() -> None:
    setup = Setup("/d", artifacts_max=5, memory_max=6, cpu_s=0.5, procs_max=7)
    pairs = ["core=0", "file=5", "cpu=1", "memory=6", "processes=7"]
    limits = [word for pair in pairs for word in ("--limit", pair)]
    assert launcher_options(setup) == ["--directory", "/d/home", *limits]


def test_what_is_not_limited_is_not_mentioned() -> None:
    assert launcher_options(Setup("/d", cwd="/else", artifacts_max=5)) == [
        "--directory", "/else", "--limit", "core=0", "--limit", "file=5",
    ]  # fmt: skip


def test_artifacts_are_counted_in_all_folders_and_links_are_not_followed(setup: Setup, artifacts: Path) -> None:
    (artifacts / "one").write_bytes(bytes(100))
    (artifacts / "deep" / "er").mkdir(parents=True)
    (artifacts / "deep" / "er" / "two").write_bytes(bytes(20))
    (artifacts / "file").symlink_to("/bin/sh")
    (artifacts / "folder").symlink_to("/usr")
    os.mkfifo(artifacts / "pipe")
    assert artifacts_size(setup) == 120


def test_counting_stops_above_what_is_allowed(setup: Setup, artifacts: Path) -> None:
    for number in range(4):
        (artifacts / str(number)).write_bytes(bytes(600))
    assert artifacts_size(setup) == 1200


def test_too_many_files_and_a_folder_that_is_gone_are_too_much(setup: Setup, artifacts: Path) -> None:
    for number in range(ENTRIES_MAX + 1):
        (artifacts / str(number)).touch()
    assert artifacts_size(setup) == 1001
    assert artifacts_size(Setup("/nonexistent", artifacts_max=9)) == 10
