"""(b) How long one connect takes inside a tool: SOCKS spoken by hand, connect() under torsocks, connect() under us.

The same program makes the connections, to the same target, over two hops through the same middle and the same exit,
on a circuit made for it: one tor for all. That tor leaves streams to a controller: for the first two sides the
controller is `BareControl`, which attaches whatever comes, at once and unseen; ours is the whole orchestrator, with
report, claim, tag and proof.
"""

import subprocess
from pathlib import Path
from statistics import median

from bare_control import BareControl
from figures import Measure
from place import SINK, Place, run_ours


def measure(place: Place, rounds: int, times: int) -> list[Measure]:
    """`rounds` times the median of `times` connects of each side, in turn."""
    row = Measure("one connect, two hops", "ms", figure="{} ms over bare SOCKS", goal="at most 0.30")
    for number in range(rounds):
        exit_ = place.exits[number % len(place.exits)].fingerprint
        socks = [place.program("connects"), "socks", *SINK, str(times)]
        plain = [place.program("connects"), "plain", *SINK, str(times)]
        row.add("bare", _under_bare_control(place, exit_, socks, str(place.lab.socks_port)))
        row.add("torsocks", _under_bare_control(place, exit_, ["/usr/bin/torsocks", *plain]))
        row.add("ours", _under_ours(place, exit_, plain))
    row.compare("difference", "ours", "bare")
    return [row]


def _under_bare_control(place: Place, exit_: str, command: list[str], *more: str) -> float:
    control = BareControl(place.control())
    try:
        circuit = control.build(place.middle, exit_)
        output = place.fresh(".ns")
        environment = place.torsocks_environment(place.lab.socks_port)
        process = subprocess.Popen([*command, str(output), *more], env=environment)
        if control.attach_all(circuit, process) != 0:
            raise RuntimeError(f"{command} failed")
        control.send(f"CLOSECIRCUIT {circuit}")
        control.lines()
        return _median_ms(output)
    finally:
        control.close()


def _under_ours(place: Place, exit_: str, command: list[str]) -> float:
    output = place.fresh(".ns")
    run_ours(place, "-e", exit_, "--", *command, str(output), hop=place.middle)
    return _median_ms(output)


def _median_ms(output: Path) -> float:
    return median(int(line) for line in output.read_text().split()) / 1e6
