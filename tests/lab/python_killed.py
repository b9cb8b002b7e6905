"""A program with commands and a function under way, which waits to be killed: `python python_killed.py LAB FOLDER`."""

import subprocess
import sys
import threading

import exitpin

LAB, FOLDER = sys.argv[1:]
SCRIPT = 'setsid tail -f /dev/null & echo $! > "$0"; wait'


def call(path: str) -> None:
    subprocess.run(["sh", "-c", SCRIPT, path], check=False)


if __name__ == "__main__":
    with exitpin.open(lab=True, name=LAB) as tor:
        one = tor.exit("exit01")
        one.sh("-c", SCRIPT, f"{FOLDER}/command", _bg=True)
        threading.Thread(target=lambda: one.python(call, f"{FOLDER}/call"), daemon=True).start()
        print(tor._daemon.pid, tor._daemon._directory, flush=True)
        one.sh("-c", SCRIPT, f"{FOLDER}/foreground")
