"""The ways a vector is run: bare, under exitpin at a level of containment, under torsocks and proxychains."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exitpin.orchestrator.lab.state import LabState

BARE = "bare"
LEVELS = ("shim", "guard", "notify", "notify+netns")
RIVALS = ("torsocks", "proxychains")
EXIT = "exit01"
EXITPIN = (sys.executable, "-m", "exitpin")

TORSOCKS_CONF = "TorAddress {host}\nTorPort {port}\nOnionAddrRange 127.42.42.0/24\n"
PROXYCHAINS_CONF = """\
strict_chain
proxy_dns
remote_dns_subnet 224
tcp_read_time_out 8000
tcp_connect_time_out 8000
[ProxyList]
socks5 {host} {port}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """`prefix` stands before the command. `is_alone`: one cell at a time, since one orchestrator holds the tor."""

    name: str
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None
    is_alone: bool = False

    def read_only(self) -> tuple[str, ...]:
        """The prefix, with files that can't be changed; as it is where nothing holds that."""
        return (*self.prefix[:-1], "--read-only", "--") if self.name in LEVELS[1:] else self.prefix


def level(lab: LabState, name: str, launcher: Path | None = None) -> Way:
    """exitpin at a level; with another launcher, where one is given."""
    words = ("run", "--lab", "--name", lab.name, "--containment", name, "-e", EXIT, "--")
    exitpin = EXITPIN if launcher is None else (sys.executable, "-m", "leaks.weakened", str(launcher))
    return Way(name, (*exitpin, *words), is_alone=True)


def why_not(way: Way) -> str:
    """Why exitpin refuses to run at all in this way; empty: it does not. In a session of its own, as the cells: inside
    the lab nobody could give the terminal back."""
    done = subprocess.run(
        [*way.prefix, "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        start_new_session=True,
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    return (done.stderr.splitlines() or [f"exit status {done.returncode}"])[0].removeprefix("exitpin: ")


def rival(lab: LabState, name: str, directory: Path) -> Way | None:
    """torsocks or proxychains on the lab's client; None when it is not installed."""
    place = {"host": lab.socks_host, "port": lab.socks_port}
    command = {"torsocks": "torsocks", "proxychains": "proxychains4"}[name]
    if shutil.which(command) is None:
        return None
    conf = directory / f"{name}.conf"
    if name == "torsocks":
        conf.write_text(TORSOCKS_CONF.format(**place))
        return Way(name, (command,), {"TORSOCKS_CONF_FILE": str(conf)})
    conf.write_text(PROXYCHAINS_CONF.format(**place))
    return Way(name, (command, "-q", "-f", str(conf)))


def order(names: Sequence[str]) -> list[str]:
    """These ways in the order of the table; the control is always among them."""
    return [BARE, *(name for name in (*LEVELS, *RIVALS) if name in names)]
