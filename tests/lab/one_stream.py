"""One stream through one exit, inside the lab.

python one_stream.py CONTROL COOKIE SOCKS_HOST SOCKS_PORT MIDDLE EXIT HOST PORT

Sends stdin and prints all that comes back (the first line if stdin is empty), or `refused REASON`. A tiny
controller in plain sockets, so that the tests of the lab need nothing of what they are there to test.
"""

import socket
import sys
import threading


def main() -> None:
    control_path, cookie_path, socks_host, socks_port, middle, exit_, host, port = sys.argv[1:]
    control = socket.socket(socket.AF_UNIX)
    control.settimeout(40)
    control.connect(control_path)
    lines = control.makefile("r", newline="\r\n")
    with open(cookie_path, "rb") as cookie:
        tell(control, f"AUTHENTICATE {cookie.read().hex()}")
    tell(control, "SETEVENTS CIRC STREAM")
    tell(control, f"EXTENDCIRCUIT 0 ${middle},${exit_} purpose=general")
    circuit = next(line for line in lines if line.startswith("250 EXTENDED")).split()[2]
    next(line for line in lines if line.startswith(f"650 CIRC {circuit} BUILT"))
    name = f"test-{circuit}"
    result: list[bytes] = []
    asking = threading.Thread(target=lambda: result.append(ask((socks_host, int(socks_port)), name, host, int(port))))
    asking.start()
    reason = attach(control, lines, circuit, name)
    asking.join(40)
    tell(control, f"CLOSECIRCUIT {circuit}")
    sys.stdout.buffer.write(f"refused {reason}\n".encode() if reason else result[0])


def tell(control: socket.socket, command: str) -> None:
    control.sendall(command.encode() + b"\r\n")


def attach(control: socket.socket, lines: "object", circuit: str, name: str) -> str:
    """Attach the stream of that SOCKS name; the reason when the exit refuses it, else an empty string."""
    for line in lines:  # type: ignore[attr-defined]
        words = line.split()
        if words[:2] != ["650", "STREAM"] or f'SOCKS_USERNAME="{name}"' not in words:
            continue
        if words[3] == "NEW":
            tell(control, f"ATTACHSTREAM {words[2]} {circuit}")
        elif words[3] in ("DETACHED", "FAILED"):
            tell(control, f"CLOSESTREAM {words[2]} 1")
            return next((word.partition("=")[2] for word in words if word.startswith("REMOTE_REASON=")), "local")
        elif words[3] == "SUCCEEDED":
            return ""
    raise ConnectionError("tor hung up")


def ask(socks: tuple[str, int], name: str, host: str, port: int) -> bytes:
    try:
        with socket.create_connection(socks, 40) as stream:
            stream.sendall(b"\x05\x01\x02")
            stream.recv(2)
            stream.sendall(b"\x01" + bytes([len(name)]) + name.encode() + b"\x01x")
            stream.recv(2)
            stream.sendall(b"\x05\x01\x00\x03" + bytes([len(host)]) + host.encode() + port.to_bytes(2, "big"))
            reply = stream.recv(10, socket.MSG_WAITALL)  # no more: what greets us may be there already
            if reply[1:2] != b"\0":
                return b""
            request = sys.stdin.buffer.read()
            stream.sendall(request)
            # Tor knows no half-closed stream. What greets us unasked does not hang up either: its line is enough.
            return b"".join(iter(lambda: stream.recv(65536), b"")) if request else stream.makefile("rb").readline()
    except OSError as error:
        return str(error).encode()


if __name__ == "__main__":
    main()
