"""The command `exitpin` before Python: which daemon it asks, and what it does with a lease."""

import os
import subprocess
import sys

import pytest

from exitpin.shim.bindings import Lease, LeaseKind, encode_lease
from exitpin.wrappers.lease import memory_file

from .daemon_played import IN_PYTHON, WAIT_S, Daemon, Place, daemon_at, result


@pytest.mark.parametrize("words", [("run", "-e", "x", "--", "true"), ("--help",), ("audit", "a b"), ()])
def test_without_a_daemon_all_is_left_to_python(place: Place, words: tuple[str, ...]) -> None:
    assert result(place.start(*words)) == (0, " ".join([IN_PYTHON, *words]) + "\n", "")


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (("exits",), {}),
        (("run", "--control", "/x", "--", "true"), {}),
        (("run", "--control=/x", "--", "true"), {}),
        (("run", "--", "true"), {"EXITPIN_NO_DAEMON": "1"}),
        (("run", "--", "true"), {"EXITPIN": "1"}),
        (("run", "--lab", "--", "true"), {}),
        (("run", "--", "true"), {"EXITPIN_LAB": "other"}),
        (("sh", "--lab", "--name", "../daemons/own", "--", "true"), {}),
    ],
)
def test_a_daemon_of_another_place_or_for_another_verb_is_not_asked(
    place: Place, daemon: Daemon, words: tuple[str, ...], env: dict[str, str]
) -> None:
    assert result(place.start(*words, env=env))[:2] == (0, " ".join([IN_PYTHON, *words]) + "\n")


@pytest.mark.parametrize(
    ("words", "env", "name"),
    [
        (("run", "-e", "x", "--", "true", "--lab"), {}, "own"),
        (("run", "--lab", "--", "true"), {}, "lab-default"),
        (("sh", "--lab", "--name=mine"), {}, "lab-mine"),
        (("run", "--name", "mine", "--lab", "--", "true"), {}, "lab-mine"),
        (("run", "--", "true"), {"EXITPIN_LAB": "mine"}, "lab-mine"),
    ],
)
def test_the_daemon_of_the_network_that_is_named_is_asked(
    place: Place, words: tuple[str, ...], env: dict[str, str], name: str
) -> None:
    with daemon_at(place.socket.with_name(name)) as daemon:
        client = place.start(*words, env=env)
        assert daemon.asked()[1][1 : 1 + len(words)] == [*words]
        daemon.say(Lease(LeaseKind.DECLINE))
        assert result(client)[0] == 0


def test_it_asks_with_its_directory_its_command_line_and_its_environment(place: Place, daemon: Daemon) -> None:
    words = ("run", "-e", "x", "--", "printf", "%s\\n", "", "ä\n\xff")
    client = place.start(*words, cwd="/usr/bin")
    lease, told = daemon.asked()
    assert told[0] == "/usr/bin"
    assert told[1 : 1 + lease.arguments] == [*words]
    assert "MARK=a b" in told[1 + lease.arguments :]
    assert lease.terminals == 0
    daemon.say(Lease(LeaseKind.DECLINE))
    assert result(client)[1].startswith(IN_PYTHON)


def test_more_descriptors_than_a_packet_has_room_for_are_no_packet(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    daemon.say(Lease(LeaseKind.COME), descriptors=[0] * 6)
    assert result(client)[1].startswith(IN_PYTHON)


def test_the_launcher_has_the_callers_place_and_the_daemons_environment(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x", cwd="/usr/bin", stdin=subprocess.PIPE)
    daemon.asked()
    daemon.say(Lease(LeaseKind.SAY), b"said before\n")
    daemon.grant('pwd; cat; echo "$GIVEN" "$MARK"; echo word >&3; exit 9')
    assert client.stdin is not None
    client.stdin.write(b"\0\xff\n")
    client.stdin.close()
    client.stdin = None
    assert daemon.control is not None
    assert daemon.control.recv(99) == b"word\n"
    daemon.end(42, b"a record\n", b"said after\n")
    stdout, stderr = client.communicate(timeout=WAIT_S)
    assert stdout == b"/usr/bin\n\0\xff\nby the daemon \na record\n"
    assert (client.returncode, stderr) == (42, b"said before\nsaid after\n")


def test_standard_descriptors_of_the_daemon_take_the_place_of_the_callers(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    with memory_file(b"in") as given, memory_file(b"") as out, memory_file(b"") as err:
        os.lseek(given, 0, os.SEEK_SET)
        daemon.grant("cat; echo err >&2; echo >&3", stdio=(given, out, err))
        assert daemon.control is not None
        daemon.control.recv(99)
        daemon.end(0)
        assert result(client) == (0, "", "")
        assert (os.pread(out, 99, 0), os.pread(err, 99, 0)) == (b"in", b"err\n")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_descriptors_that_the_caller_has_closed_become_none_of_ours(
    place: Place, daemon: Daemon, closed: tuple[int, ...]
) -> None:
    words = [
        "sh",
        "-c",
        '"$0" run -- x ' + " ".join(f"{fd}>&-" for fd in closed),
        place.directory / "exitpin.bin/exitpin",
    ]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(place.directory)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        daemon.asked()
        daemon.grant("places=$(for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done); echo $places >&3; read -r word <&3")
        assert daemon.control is not None
        places = daemon.control.recv(999).decode().split()
        for fd in closed:
            assert places[fd] == "/dev/null"
        daemon.control.close()
        daemon.end(5)
        client.communicate(timeout=WAIT_S)
    assert client.returncode == 5


def test_a_record_that_can_not_be_written_is_told(place: Place, daemon: Daemon) -> None:
    with open("/dev/full", "wb") as full:
        client = place.start("run", "--", "x", stdout=full)
    daemon.asked()
    daemon.end(0, b"a record\n")
    status, _, said = result(client)
    assert (status, said) == (
        125,
        "exitpin: standard output can't be written: No space left on device. What was printed is not whole.\n",
    )


@pytest.mark.parametrize("nonsense", [b"", b"x", bytes(24), encode_lease(Lease(LeaseKind.GRANT, arguments=9))])
def test_a_daemon_that_speaks_nonsense_starts_nothing(place: Place, daemon: Daemon, nonsense: bytes) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    assert daemon.connection is not None
    daemon.connection.send(nonsense)
    daemon.close()
    status, said, _ = result(client)
    assert (status, said) == (0, f"{IN_PYTHON} run -- x\n")


@pytest.mark.slow
def test_a_daemon_that_is_stopped_is_not_waited_for(place: Place, daemon: Daemon) -> None:
    status, stdout, said = result(place.start("run", "--", "x"))
    assert (status, stdout) == (125, "")
    assert said.startswith("exitpin: the daemon does not answer.")


def test_somebody_elses_daemon_is_not_asked(place: Place) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    script = (
        "import os, socket, sys\nos.setresuid(65534, 65534, 65534)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.bind(sys.argv[1])\ns.listen()\n"
        "print(flush=True)\nc, _ = s.accept()\nprint(len(c.recv(99)), flush=True)"
    )
    place.socket.parent.chmod(0o777)
    place.socket.parent.parent.chmod(0o755)
    place.directory.chmod(0o755)
    with subprocess.Popen([sys.executable, "-c", script, place.socket], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert result(place.start("run", "--", "x"))[1].startswith(IN_PYTHON)
        assert other.stdout.readline() == b"0\n"
