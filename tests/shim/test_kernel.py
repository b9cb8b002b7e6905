"""Linux calls that Python lacks."""

import errno
import os
import socket

import pytest

from exitpin.shim import bindings


def test_a_disconnected_socket_is_as_new():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        for _ in range(2):
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            bindings.disconnect(client.fileno())
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            with pytest.raises(OSError, match="not connected"):
                client.getpeername()
            accepted.close()


def test_kernel_calls_raise_what_the_kernel_says():
    with pytest.raises(OSError) as raised:
        bindings.setns(-1)
    assert raised.value.errno == errno.EBADF
    with pytest.raises(OSError):
        bindings.unshare(-1)


def test_a_subreaper_inherits_orphans():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        bindings.set_child_subreaper()
        if os.fork() == 0:
            if os.fork() == 0:
                os.read(reading, 1)
                os._exit(0)
            os._exit(0)
        os.wait()
        os.write(writing, b"x")
        os._exit(0 if os.wait()[0] > 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    os.close(reading)
    os.close(writing)
