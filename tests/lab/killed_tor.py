"""Inside the lab: a daemon of an own tor, which is killed under a lease: python killed_tor.py HOME TORRC.

HOME is where run-time files and cache are, as the caller's environment says. Prints one JSON object: how the run's
client ended, and what the next call printed, when tor was there again.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

EXITPIN = str(Path(sys.executable).with_name("exitpin"))
KEEPER = Path(__file__).with_name("own_tor_keeper.py")
WAIT_S = 40.0


def keeper(home: str, torrc: str) -> "subprocess.Popen[bytes]":
    """An own tor of the lab's network, that answers."""
    started = subprocess.Popen([sys.executable, str(KEEPER), torrc, "60"], stdout=sys.stderr)
    control, deadline = Path(home, "exitpin", "tor", "control"), time.monotonic() + WAIT_S
    while not control.exists() and time.monotonic() < deadline:
        select.select([], [], [], 0.02)
    return started


def exitpin(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([EXITPIN, *words], capture_output=True, text=True, timeout=WAIT_S, check=False)


def main(home: str, torrc: str) -> None:
    kept = keeper(home, torrc)
    try:
        started = exitpin("daemon", "start")
        script = "echo there; exec sleep 60"
        argv = [EXITPIN, "run", "-e", "exit01", "--", "sh", "-c", script]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            client.stdout.readline()
            (tor,) = psutil.Process(kept.pid).children()
            os.kill(tor.pid, signal.SIGKILL)
            _, said = client.communicate(timeout=WAIT_S)
        kept.wait(WAIT_S)
        kept = keeper(home, torrc)
        after = exitpin("run", "-e", "exit01", "--", "curl", "-sS", "http://web.test/ip")
        status = json.loads(exitpin("daemon", "status", "--json").stdout)
        stopped = exitpin("daemon", "stop")
    finally:
        kept.terminate()
        kept.wait()
    json.dump({
        "started": started.returncode, "killed": [client.returncode, said], "next": [after.returncode, after.stdout],
        "state": status["state"], "served": status["served"], "stopped": stopped.returncode,
    }, sys.stdout)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
