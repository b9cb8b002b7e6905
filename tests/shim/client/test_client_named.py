"""EXITPIN_DAEMON: the daemon that it names is asked, and no other."""

import pytest

from .daemon_played import IN_PYTHON, Daemon, Place, daemon_at, result


def test_a_daemon_that_is_named_is_asked_whatever_the_network(place: Place) -> None:
    path = place.directory / "own"
    with daemon_at(path) as daemon:
        path.chmod(0o600)
        client = place.start("run", "--lab", "--", "true", env={"EXITPIN_DAEMON": str(path)})
        assert daemon.asked()[1][1:5] == ["run", "--lab", "--", "true"]
        daemon.end(7)
        assert result(client) == (7, "", "")


@pytest.mark.parametrize("mode", [None, 0o640, 0o602])
def test_a_daemon_that_is_named_and_is_not_there_for_us_alone_is_no_reason_to_take_another(
    place: Place, daemon: Daemon, mode: int | None
) -> None:
    path = place.directory / "own"
    with daemon_at(place.directory / "other"):
        if mode is not None:
            (place.directory / "other").rename(path)
            path.chmod(mode)
        status, stdout, stderr = result(place.start("run", "--", "true", env={"EXITPIN_DAEMON": str(path)}))
    assert (status, stdout) == (125, "")
    assert stderr == f"exitpin: no daemon of ours answers at EXITPIN_DAEMON ({path}).\n"


def test_of_a_daemon_that_is_named_other_verbs_ask_in_python(place: Place) -> None:
    assert result(place.start("exits", env={"EXITPIN_DAEMON": "/nowhere"}))[:2] == (0, f"{IN_PYTHON} exits\n")
