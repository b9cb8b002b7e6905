"""The namespace in between: writes down each frame that comes from the machine, and knocks where a listener may be.

python -m leaks.sniffer FILE PORT...    (in a network namespace of its own)
A line of the file: {"t": seconds, "frame": hex of its first bytes}. PORT: where a vector would listen.
It waits for a line before it begins, then says `ready`; at the next line it says how many frames it missed, and ends.
"""

import json
import os
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

from . import wire

FRAME_MAX = 1600
ETH_P_ALL = 3
OUTGOING = 4
SOL_PACKET, PACKET_STATISTICS = 263, 6
KNOCK_S = 0.1


def knock(port: int) -> None:
    """Come in wherever somebody listens on that port, and hear what is said."""
    while True:
        with suppress(OSError), socket.create_connection(("100.64.0.1", port), KNOCK_S) as visit:
            visit.settimeout(1)
            visit.recv(100)
        time.sleep(KNOCK_S)


def sniff(ear: socket.socket, path: str) -> None:
    """Write down all that comes in, by either link; never returns."""
    with open(path, "w") as log:
        while True:
            frame, address = ear.recvfrom(FRAME_MAX)
            if address[2] != OUTGOING and address[0] != "lo":
                log.write(json.dumps({"t": time.time(), "frame": frame.hex()}) + "\n")
                log.flush()


def main() -> None:
    path, *ports = sys.argv[1:]
    sys.stdin.readline()
    wire.far_side()
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    for port in ports:
        threading.Thread(target=knock, args=(int(port),), daemon=True).start()
    threading.Thread(target=sniff, args=(ear, path), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.readline()
    _, missed = struct.unpack("II", ear.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(missed, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
