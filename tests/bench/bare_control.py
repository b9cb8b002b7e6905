"""The least that a controller can do: build a circuit, attach every stream, judge nothing.

What other sides are compared with must not wait for an attacher of ours, so this one is one blocking read, a search
for ` NEW ` and one write. It keeps no table, checks no name, and proves nothing.
"""

import os
import select
import socket
import subprocess


class BareControl:
    """One control connection that hears CIRC and STREAM events."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._buffer = b""
        self.send("SETEVENTS CIRC STREAM")

    def send(self, command: str) -> None:
        """Send a command; its reply comes among the lines."""
        self._control.sendall(command.encode() + b"\r\n")

    def lines(self) -> list[bytes]:
        """The whole lines of one read."""
        self._buffer += self._control.recv(1 << 18)
        *lines, self._buffer = self._buffer.split(b"\r\n")
        return lines

    def build(self, *path: str) -> str:
        """A circuit along these relays; its id, once it is built."""
        self.send("EXTENDCIRCUIT 0 " + ",".join(f"${hop}" for hop in path) + " purpose=general")
        circuit = ""
        while True:
            for line in self.lines():
                words = line.decode().split()
                if words[:2] == ["250", "EXTENDED"]:
                    circuit = words[2]
                elif circuit and words[1:4] == ["CIRC", circuit, "BUILT"]:
                    return circuit
                elif circuit and words[1:3] == ["CIRC", circuit] and words[3] in ("FAILED", "CLOSED"):
                    raise RuntimeError(line.decode())

    def attach_all(self, circuit: str, process: "subprocess.Popen[bytes]") -> int:
        """Attach every new stream to `circuit` until the process has ended; its exit status."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        ended = os.pidfd_open(process.pid)
        poll.register(ended, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._control.fileno() in ready:
                for line in self.lines():
                    if b" NEW 0 " in line:
                        self.send(f"ATTACHSTREAM {line.split(b' ', 3)[2].decode()} {circuit}")
            if ended in ready:
                os.close(ended)
                return process.wait()

    def close(self) -> None:
        self._control.close()

    def fileno(self) -> int:
        """For poll."""
        return self._control.fileno()
