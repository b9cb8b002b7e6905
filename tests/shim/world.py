"""A network of our own, for one test session: run as `unshare -Urn python world.py`.

Holds an echo server on loopback, and a cable (veth) behind the default route at whose far end every packet is counted:
what is seen there has leaked. Prints the server's port when ready; then answers each line on stdin with the list of
packets seen since the last, as JSON.
"""

import contextlib
import json
import socket
import subprocess
import sys
import threading

ETH_P_ALL = 0x0003
SETUP = """
link set lo up
address add 203.0.113.9/32 dev lo
link add wire0 type veth peer name wire1
link set wire0 address 02:00:00:00:00:01 up
link set wire1 address 02:00:00:00:00:02 up
address add 192.0.2.1/24 dev wire0
address add 2001:db8:ffff::1/64 dev wire0 nodad
neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev wire0
neighbour add 2001:db8:ffff::2 lladdr 02:00:00:00:00:02 dev wire0
route add default via 192.0.2.2
-6 route add default via 2001:db8:ffff::2
"""


def echo(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionError):
        while piece := connection.recv(4096):
            connection.sendall(piece)


def serve(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def packet_name(frame: bytes) -> str | None:
    """What left, or None for the kernel's own ARP, neighbour discovery and multicast reports."""
    kind, body = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        return f"protocol {body[9]} to {socket.inet_ntop(socket.AF_INET, body[16:20])}"
    if kind == b"\x86\xdd" and body[6] not in (0, 58):
        return f"protocol {body[6]} to {socket.inet_ntop(socket.AF_INET6, body[24:40])}"
    return None


def main() -> None:
    for line in SETUP.strip().splitlines():
        subprocess.run(["ip", *line.split()], check=True)
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind(("wire1", 0))
    wire.setblocking(False)
    seen: list[str] = []
    print(server.getsockname()[1], flush=True)
    for _ in sys.stdin:
        try:
            while True:
                name = packet_name(wire.recv(65536))
                if name is not None:
                    seen.append(name)
        except BlockingIOError:
            print(json.dumps(seen), flush=True)
            seen.clear()


main()
