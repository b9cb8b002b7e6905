"""Inside the lab: a daemon of an own tor, which is killed under a lease: python killed_tor.py HOME TORRC.

HOME is where run-time files and cache are, as the caller's environment says; of TORRC comes which network it is.
Prints one JSON object: how the run's client ended, and what the next call printed, when tor was there again.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from exitpin.wrappers import torrc

EXITPIN = str(Path(sys.executable).with_name("exitpin"))
OWN = {"datadirectory", "controlsocket", "log"} | {name.lower() for name, _ in torrc.BASE}
WAIT_S = 40.0


def be_of_the_lab(home: Path, torrc: str) -> None:
    """Whatever starts a tor from now on starts one of the lab's network."""
    network = [line for line in Path(torrc).read_text().splitlines(True) if line.split()[0].lower() not in OWN]
    (home / "network").write_text("".join(network))
    tor = home / "programs" / "tor"
    tor.parent.mkdir()
    tor.write_text(
        f'#!/bin/sh\ncat \'{home}/network\' >> "$3"\nexec {shutil.which("tor")} "$@"\n'
    )  # tor --quiet -f FILE
    tor.chmod(0o755)
    os.environ["PATH"] = f"{tor.parent}:{os.environ['PATH']}"


def exitpin(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([EXITPIN, *words], capture_output=True, text=True, timeout=WAIT_S, check=False)


def own_tor(home: str) -> psutil.Process:
    """The tor that keeps its cache there."""
    everybody = psutil.process_iter(["name", "cmdline"])
    found = [one for one in everybody if one.info["name"] == "tor" and home in " ".join(one.info["cmdline"] or ())]
    assert len(found) == 1, found
    return found[0]


def main(home: str, torrc: str) -> None:
    be_of_the_lab(Path(home), torrc)
    try:
        started = exitpin("daemon", "start")
        script = "echo there; exec sleep 60"
        argv = [EXITPIN, "run", "-e", "exit01", "--", "sh", "-c", script]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            client.stdout.readline()
            own_tor(home).send_signal(signal.SIGKILL)
            _, said = client.communicate(timeout=WAIT_S)
        after = exitpin("run", "-e", "exit01", "--", "curl", "-sS", "http://web.test/ip")
        status = json.loads(exitpin("daemon", "status", "--json").stdout)
        stopped = exitpin("daemon", "stop")
    finally:
        keeper = own_tor(home).parent()
        assert keeper is not None
        keeper.terminate()
        keeper.wait()
    json.dump({
        "started": started.returncode, "killed": [client.returncode, said], "next": [after.returncode, after.stdout],
        "state": status["state"], "served": status["served"], "stopped": stopped.returncode,
    }, sys.stdout)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
