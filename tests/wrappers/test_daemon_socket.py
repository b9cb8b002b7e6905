"""The daemon's socket: whose it is, who listens there, and who is heard."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.shim.bindings import LeaseKind
from exitpin.wrappers.daemon_socket import ask_daemon, connect_to_daemon, credentials_of, listening

TIMEOUT_S = 10.0


def test_the_socket_is_the_users_alone_and_goes_with_who_listens(tmp_path: Path) -> None:
    path = tmp_path / "private" / "daemon"
    with listening(path) as door:
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        client = connect_to_daemon(path)
        assert client is not None
        assert credentials_of(door.accept()[0]) == (os.getpid(), os.geteuid())
        client.close()
        with pytest.raises(OperatorError, match=f"running already .pid {os.getpid()}"), listening(path):
            pass
        assert path.exists()
    assert not path.exists()
    assert connect_to_daemon(path) is None
    assert ask_daemon(path, LeaseKind.STATUS) is None


def test_a_socket_that_a_killed_daemon_left_is_no_daemon(tmp_path: Path) -> None:
    path = tmp_path / "daemon"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(path))
    with listening(path):
        client = connect_to_daemon(path)
        assert client is not None
        client.close()


ACTIVATED = """
import os, sys
from pathlib import Path
from exitpin.wrappers.daemon_socket import listening
with listening(Path(sys.argv[1])) as door:
    door.setblocking(True)
    print(door.accept()[0].recv(9).decode(), os.get_inheritable(3), "LISTEN_FDS" in os.environ)
"""


def test_the_socket_of_a_service_manager_is_taken_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "daemon"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        script = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{listener.fileno()}'
        command = ["bash", "-c", script, "bash", sys.executable, "-c", ACTIVATED, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(listener.fileno(),)) as activated:
            client = connect_to_daemon(path)
            assert client is not None
            client.send(b"word")
            assert activated.communicate(timeout=TIMEOUT_S)[0] == "word False False\n"
        client.close()
    assert path.exists()


def test_who_ends_late_leaves_the_socket_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "daemon"
    with listening(path):
        path.unlink()
        with listening(path.with_name("other")) as _:
            path.with_name("other").rename(path)
            path.with_name("other").touch()
    assert path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_elses_socket_is_no_daemon() -> None:
    script = (
        "import os, socket, sys\nos.setresuid(65534, 65534, 65534)\ns = socket.socket(socket.AF_UNIX,"
        " socket.SOCK_SEQPACKET)\ns.bind(sys.argv[1])\ns.listen()\nprint(flush=True)\nsys.stdin.read()"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        path = Path(folder, "daemon")
        with subprocess.Popen(
            [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert connect_to_daemon(path) is None
            other.communicate()
