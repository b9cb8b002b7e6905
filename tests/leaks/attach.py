"""A controller for torsocks and proxychains: each stream of the client's tor goes to one circuit through one exit.

python -m leaks.attach CONTROL COOKIE MIDDLE EXIT    (in the lab; says `ready` when the circuit is built)
The lab's client leaves streams unattached, for exitpin; nobody else would ever get through. In plain sockets, so that
the rivals depend on nothing that is under test. Ends with its stdin.
"""

import os
import socket
import sys
import threading
from typing import TextIO


def tell(control: socket.socket, command: str) -> None:
    control.sendall(command.encode() + b"\r\n")


def build(control: socket.socket, lines: TextIO, path: str) -> str:
    """A new circuit, built."""
    while True:
        tell(control, f"EXTENDCIRCUIT 0 {path} purpose=general")
        circuit = next(line for line in lines if line.startswith("250 EXTENDED")).split()[2]
        for line in lines:
            if line.startswith(f"650 CIRC {circuit} BUILT"):
                return circuit
            if line.startswith((f"650 CIRC {circuit} FAILED", f"650 CIRC {circuit} CLOSED")):
                break


def attach_all(control: socket.socket, lines: TextIO, path: str) -> None:
    circuit = build(control, lines, path)
    print("ready", flush=True)
    for line in lines:
        words = line.split()
        if words[:2] == ["650", "CIRC"] and words[2] == circuit and words[3] in ("FAILED", "CLOSED"):
            circuit = build(control, lines, path)
        if words[:2] != ["650", "STREAM"]:
            continue
        if words[3] in ("NEW", "NEWRESOLVE"):
            tell(control, f"ATTACHSTREAM {words[2]} {circuit}")
        elif words[3] == "DETACHED":
            tell(control, f"CLOSESTREAM {words[2]} 1")


def main() -> None:
    control_path, cookie_path, middle, exit_ = sys.argv[1:]
    control = socket.socket(socket.AF_UNIX)
    control.connect(control_path)
    lines = control.makefile("r", newline="\r\n")
    with open(cookie_path, "rb") as cookie:
        tell(control, f"AUTHENTICATE {cookie.read().hex()}")
    tell(control, "SETEVENTS CIRC STREAM")
    threading.Thread(target=attach_all, args=(control, lines, f"${middle},${exit_}"), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
