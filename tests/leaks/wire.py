"""A wire for the lab's machine: what goes to 198.51.100.0/24, to 2001:db8:1::/48 or to nowhere in particular leaves it
by a veth, passes a namespace of ours with a sniffer in it, and comes back by another veth to the lab's targets.

The lab has loopback alone: there a datagram, a frame or a group of one's own could not leave at all, and could not be
seen. Nothing of the lab is opened by this: the namespace in between has these two links and no other, and all of it is
inside the lab's user namespace and ends with it. Only the suite's own lab is changed so.

Runs inside the lab, as its root. Sources: ip-rule(8), ip-sysctl (accept_local, rp_filter).
"""

import secrets
import subprocess
from contextlib import suppress
from pathlib import Path

NAME_SERVER = "198.51.100.53"
TABLE = "77"

HERE = (
    "link set wire up", "link set home up",
    "addr add 100.64.0.1/30 broadcast + dev wire", "addr add 100.64.1.1/30 dev home",
    "-6 addr add fd64::1/64 dev wire nodad", "-6 addr add fd64:1::1/64 dev home nodad",
    "route add default via 100.64.0.2 src 100.64.0.1", "-6 route add default via fd64::2 src fd64::1",
    f"route add default via 100.64.0.2 src 100.64.0.1 table {TABLE}",
    f"-6 route add default via fd64::2 src fd64::1 table {TABLE}",
    # Only what starts here (iif lo) takes the wire: what comes back is for the targets, which the local table has.
    f"rule add pref 5 iif lo to 198.51.100.0/24 lookup {TABLE}",
    f"-6 rule add pref 5 iif lo to 2001:db8:1::/48 lookup {TABLE}",
    "rule add pref 10 lookup local", "rule del pref 0",
    "-6 rule add pref 10 lookup local", "-6 rule del pref 0",
)  # fmt: skip

TUNNEL = (
    "tuntap add dev tunnel mode tun", "link set tunnel up", "route add 10.99.0.0/24 dev tunnel",
    f"rule add pref 5 iif tunnel to 198.51.100.0/24 lookup {TABLE}",
)  # fmt: skip
"""What somebody left who uses a VPN: a tunnel that anybody may hold the other end of, and that is routed."""

TAP = (
    "link add link wire name tap index {index} type macvtap mode bridge",
    "link set tap addrgenmode none arp off", "link set tap up",
)  # fmt: skip
"""What somebody left who runs a virtual machine: an end of the wire that is a file. It says nothing by itself."""

THERE = (
    "link set lo up", "link set far up", "link set near up",
    "addr add 100.64.0.2/30 broadcast + dev far", "addr add 100.64.1.2/30 dev near",
    "-6 addr add fd64::2/64 dev far nodad", "-6 addr add fd64:1::2/64 dev near nodad",
    "route add default via 100.64.1.1", "-6 route add default via fd64:1::1",
)  # fmt: skip


def lay(far_pid: int, resolv_conf: Path) -> None:
    """Give this machine the wire; its far end goes to the network namespace of that process, which calls `far_side`.

    The lab's programs then ask the name server that is behind it. CalledProcessError when the kernel says no.
    """
    _ip("link add wire type veth peer name far", "link add home type veth peer name near")
    _ip(f"link set far netns {far_pid}", f"link set near netns {far_pid}")
    for name in ("all/rp_filter", "home/rp_filter", "wire/rp_filter"):
        _set(f"ipv4/conf/{name}", "0")
    _set("ipv4/conf/home/accept_local", "1")
    _ip(*HERE)
    with suppress(subprocess.CalledProcessError):  # a kernel without tunnels, or a user who may not open any
        _ip(*TUNNEL)
        _set("ipv4/conf/tunnel/forwarding", "1")
    resolv_conf.write_text(f"nameserver {NAME_SERVER}\noptions timeout:2 attempts:1\n")


def leave_tap(link: Path) -> None:
    """Give the wire a macvtap; `link` leads to its device, whose name is a number that all networks have in common.
    Where the kernel says no it leads nowhere."""
    index = secrets.randbelow(10**9) + 10**6
    link.symlink_to(f"/dev/tap{index}")
    with suppress(subprocess.CalledProcessError):
        _ip(*(line.format(index=index) for line in TAP))


def far_side() -> None:
    """Make the namespace in between a router: in by `far`, out by `near`."""
    for name in ("all", "far", "near"):
        _set(f"ipv4/conf/{name}/rp_filter", "0")
    _set("ipv4/ip_forward", "1")
    _set("ipv6/conf/all/forwarding", "1")
    _ip(*THERE)


def _ip(*lines: str) -> None:
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True, timeout=10)


def _set(name: str, value: str) -> None:
    (Path("/proc/sys/net") / name).write_text(value)
