"""An own tor, and one that was there before: the ways of the real network, walked in the lab."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Lab

pytestmark = pytest.mark.lab
KEEPER = Path(__file__).with_name("own_tor_keeper.py")
EXITPIN = (sys.executable, "-m", "exitpin")
OUTSIDE = ("EXITPIN_LAB", "EXITPIN_LAB_DIR")


@pytest.fixture
def home() -> Iterator[Path]:
    """A short directory for run-time files and cache."""
    with tempfile.TemporaryDirectory(prefix="own-", dir="/tmp") as directory:
        yield Path(directory)


def as_if_outside(home: Path, *argv: str) -> list[str]:
    """A command that does not know that it is in the lab, with a home of its own."""
    unset = [word for name in OUTSIDE for word in ("-u", name)]
    own = {"XDG_RUNTIME_DIR": home, "XDG_CACHE_HOME": home / "cache", "XDG_STATE_HOME": home / "state"}
    return ["env", *unset, *(f"{name}={place}" for name, place in own.items()), *argv]


def prepare_cache(lab: Lab, home: Path) -> Path:
    """The directory that a tor of this network would have fetched: in a warm lab no authority is there to ask."""
    client = lab.state.directory / "tor" / "client"
    cache = home / "cache" / "exitpin" / "tor"
    for directory in (cache, home / "exitpin" / "tor"):
        directory.mkdir(parents=True)
    for directory in (cache, home / "exitpin", home / "exitpin" / "tor"):
        directory.chmod(0o700)
    for name in os.listdir(client):
        if name.startswith("cached-"):
            shutil.copy(client / name, cache / name)
    return client / "torrc"


def test_a_run_finds_the_kept_tor_warns_of_hooks_alone_and_leaves_it_to_end_by_itself(lab: Lab, home: Path) -> None:
    torrc = prepare_cache(lab, home)
    keeper = as_if_outside(home, sys.executable, str(KEEPER), str(torrc), "15")
    options = ["-e", "exit01", "--containment", "shim"]
    run = as_if_outside(home, *EXITPIN, "run", *options, "--", "curl", "-sS", "http://web.test/ip")
    waits = "while ! test -S $2/exitpin/tor/control; do sleep 0.05; done"
    script = f"exec 3>&1; $1 >&2 & {waits}; $3; wait"
    done = lab.exec(["bash", "-c", script, "bash", " ".join(keeper), str(home), " ".join(run)])
    assert done.stdout == "203.0.113.11\n"
    assert "containment level is shim" in done.stderr
    assert not (home / "exitpin" / "tor" / "control").exists()


def test_a_tor_that_serves_exitpin_alone_is_used(lab: Lab) -> None:
    control = str(lab.state.control_socket)
    done = lab.exec([*EXITPIN, "run", "--control", control, "-e", "exit01", "--", "curl", "-sS", "http://web.test/ip"])
    assert (done.returncode, done.stdout) == (0, "203.0.113.11\n")


def test_a_tor_with_the_streams_of_others_on_it_is_refused(lab: Lab) -> None:
    """A stream that nobody attaches stays open on the lab's client for as long as its owner wants."""
    state = lab.state
    opened = f"exec 3<>/dev/tcp/{state.socks_host}/{state.socks_port}; printf '\\5\\1\\0' >&3; head -c 2 <&3 | wc -c;"
    asked = "printf '\\5\\1\\0\\1\\300\\0\\2\\12\\0\\120' >&3;"
    control = str(state.control_socket)
    refused = (
        f"until {' '.join(EXITPIN)} run --control {control} -e exit01 -- true 2>&1 | grep 'stream(s) open'; do :; done"
    )
    done = lab.exec(["bash", "-c", f"{opened} {asked} {refused}"])
    assert "somebody else has 1 stream(s) open on it" in done.stdout


def test_a_tor_whose_torrc_lacks_the_lines_is_refused_and_the_lines_are_named(lab: Lab, home: Path) -> None:
    data, control = home / "data", home / "control"
    data.mkdir(mode=0o700)
    (home / "torrc").write_text(
        f"DataDirectory {data}\nControlSocket {control}\nCookieAuthentication 1\nSocksPort auto\n"
    )
    tor = f"tor --quiet -f {home}/torrc --defaults-torrc /dev/null --DisableNetwork 1 & "
    run = f"while ! test -S {control}; do :; done; {' '.join(EXITPIN)} run --control {control} -e exit01 -- true"
    done = lab.exec(["bash", "-c", f"{tor} {run}; status=$?; kill %1; wait; exit $status"])
    assert done.returncode == 125
    assert "__LeaveStreamsUnattached is 0, must be 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_command_waits_for_the_first_and_says_for_whom(lab: Lab) -> None:
    run = [*EXITPIN, "run", "--lab", "--name", lab.state.name, "-e", "exit01", "--"]
    with subprocess.Popen([*run, "sh", "-c", "echo ready; read line"], stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout is not None and first.stdin is not None
        assert first.stdout.readline() == "ready\n"
        with subprocess.Popen([*run, "echo", "second"], stdout=-1, stderr=-1, text=True) as second:
            assert second.stderr is not None
            assert "waiting for exitpin (pid " in second.stderr.readline()
            first.communicate("go\n", timeout=20)
            assert second.communicate(timeout=20)[0] == "second\n"


def test_the_keeper_ends_with_its_tor_when_it_is_killed(lab: Lab, home: Path) -> None:
    torrc = prepare_cache(lab, home)
    keeper = " ".join(as_if_outside(home, sys.executable, str(KEEPER), str(torrc), "60"))
    begun = f"{keeper} >&2 & while ! test -S {home}/exitpin/tor/control; do :; done"
    ended = f"kill -TERM %1; wait; pgrep -fc {home}/cache"
    assert lab.exec(["bash", "-c", f"{begun}; {ended}"]).stdout == "0\n"


def test_a_killed_tor_ends_the_leases_of_a_daemon_and_the_next_call_has_another(lab: Lab, home: Path) -> None:
    torrc = prepare_cache(lab, home)
    script = as_if_outside(home, sys.executable, str(KEEPER.with_name("killed_tor.py")), str(home), str(torrc))
    done = lab.exec(script, timeout=110)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    status, said = told["killed"]
    assert status == 125
    assert said.startswith("exitpin: tor: ") and said.count("\n") <= 2, said
    assert told["next"] == [0, "203.0.113.11\n"]
    assert (told["started"], told["state"], told["served"], told["stopped"]) == (0, "serving", 2, 0)
