"""Who may change a lab that lives: the user whose lab it is."""

import os
import socket
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.lab_life import refuse_others

NOBODY = 65534


def connect_as(uid: int, listener: socket.socket, folder: Path) -> socket.socket:
    """A connection that a process of that user has made to `socket` in the folder."""
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            os.setuid(uid)
            socket.socket(socket.AF_UNIX).connect("socket")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    listener.settimeout(10)
    return listener.accept()[0]


@pytest.mark.parametrize("is_other", [False, True])
def test_another_user_is_refused(tmp_path: Path, is_other: bool) -> None:
    if is_other and os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    tmp_path.chmod(0o711)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        (tmp_path / "socket").chmod(0o777)
        listener.listen()
        with connect_as(NOBODY if is_other else os.geteuid(), listener, tmp_path) as peer:
            if not is_other:
                refuse_others(peer)
                return
            with pytest.raises(OperatorError, match="Another user"):
                refuse_others(peer)
