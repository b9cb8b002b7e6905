"""Inside the lab: keep an own tor, for a network that is the lab's. Arguments: the client's torrc, seconds."""

import sys
from pathlib import Path

from exitpin.wrappers import own_tor, torrc

OWN = {"datadirectory", "controlsocket", "log"} | {name.lower() for name, _ in torrc.BASE}

lines = [line.split(" ", 1) for line in Path(sys.argv[1]).read_text().splitlines()]
network = [(name, value) for name, value in lines if name.lower() not in OWN]
sys.exit(own_tor.keep(network, kept_s=float(sys.argv[2])))
