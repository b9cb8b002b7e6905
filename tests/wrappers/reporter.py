"""A tool's process: makes a socket, reports a connect of it as a hook does, and prints the answer's errno or `nothing`.

Arguments, as JSON: path, nonce (hex), source, destination [address, port], flags, reported_port (None: as it is),
kind (SOCK_), low_water (SO_RCVLOWAT), extra (how many descriptors more), op, is_anew (once it has its answer it
disconnects the socket, and binds it once more), is_deaf (it can be told nothing, says so, and stays).
"""

import json
import os
import signal
import socket
import struct
import sys

from exitpin.shim import bindings

asked = json.loads(sys.argv[1])
tool = socket.socket(socket.AF_INET, asked["kind"])
tool.bind((asked["source"], 0))
tool.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, asked["low_water"])
host, port = tool.getsockname()
family = socket.AF_INET6 if ":" in asked["destination"][0] else socket.AF_INET
packet = bindings.encode_report(
    bindings.Op(asked["op"]), bytes.fromhex(asked["nonce"]), pid=os.getpid(), tid=os.getpid(),
    flags=asked["flags"], reason=asked["reason"],
    source=bindings.Endpoint(socket.AF_INET, host, asked["reported_port"] or port),
    destination=bindings.Endpoint(family, *asked["destination"]),
)  # fmt: skip
if asked["tail"]:
    packet = packet[:-1] + b"\x01"
hook = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
hook.connect(asked["path"])
socket.send_fds(hook, [packet], [tool.fileno()] * (1 + asked["extra"]))
if asked["is_deaf"]:
    hook.shutdown(socket.SHUT_RD)
    print("deaf", flush=True)
    signal.pause()
answer = hook.recv(1024)
if asked["is_anew"]:
    bindings.disconnect(tool.fileno())
    tool.bind((asked["source"], 0))
print(struct.unpack_from("=Ii", answer)[1] if answer else "nothing", flush=True)
