"""(b) How long one connect takes inside a tool: SOCKS spoken by hand, connect() under torsocks and proxychains,
connect() under us at each level, and by a static program.

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

LEVELS = ("shim", "guard", "notify")


def measure(place: Place, rounds: int, times: int) -> list[Measure]:
    """`rounds` times the median of `times` connects of each side, in turn; ours at each level, and without hooks."""
    names = [*LEVELS, "notify, static"]
    rows = {name: Measure(f"one connect, {name}", "ms", figure="{} ms over bare SOCKS") for name in names}
    rows["shim"].goal = rows["notify, static"].goal = "at most 0.30"
    for number in range(rounds):
        exit_ = place.exits[number % len(place.exits)].fingerprint
        socks = [place.program("connects"), "socks", *SINK, str(times)]
        plain = [place.program("connects"), "plain", *SINK, str(times)]
        bare = _under_bare_control(place, exit_, socks, str(place.lab.socks_port))
        torsocks = _under_bare_control(place, exit_, ["/usr/bin/torsocks", *plain])
        proxychains = _under_bare_control(place, exit_, [*words, *plain]) if (words := place.proxychains()) else None
        for name, row in rows.items():
            command = [place.program("connects", "-static"), *plain[1:]] if name.endswith("static") else plain
            row.add("bare", bare)
            row.add("torsocks", torsocks)
            if proxychains is not None:
                row.add("proxychains", proxychains)
            row.add("ours", _under_ours(place, exit_, command, name.partition(",")[0]))
    for row in rows.values():
        row.compare("difference", "ours", "bare")
    return list(rows.values())


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


def _under_ours(place: Place, exit_: str, command: list[str], level: str) -> float:
    output = place.fresh(".ns")
    run_ours(place, "-e", exit_, "--containment", level, "--", *command, str(output), hop=place.middle)
    return _median_ms(output)


def _median_ms(output: Path) -> float:
    return median(int(line) for line in output.read_text().split()) / 1e6
