"""The inside of a lab's namespaces: loopback, routes, limits, mounts.

Called once by the supervisor, as pid 1 of its PID namespace, before anything else runs there.
"""

import resource
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab import network
from .namespaces import mount

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_SLAVE = 2, 4, 8, 4096, 16384, 1 << 19

# `local` gives a whole range at once. A unicast route over lo inside the local table makes packets vanish: they loop
# back with a route that has no input side. That is a blackhole without nftables. `quickack`: tor leaves Nagle on, so
# that a cell which follows another one waits 40 ms for the delayed ACK (a circuit took 55 ms, now 8).
ROUTES = (
    "link set lo up",
    "route replace local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1 quickack 1",
    "route replace local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 quickack 1",
    *(f"route add local {prefix} dev lo quickack 1" for prefix in (network.EXIT_NETWORK, *network.TARGET_NETWORKS)),
    f"route add local {network.IPV6_NETWORK} dev lo",
    f"route add {network.BLACKHOLE_ADDRESS}/32 dev lo table local",
    f"route add unreachable {network.UNREACHABLE_ADDRESS}/32 table local",
)

# Not every kernel shows each of them inside a user namespace; only the first is needed.
SETTINGS = (
    ("net/ipv6/ip_nonlocal_bind", "1"),
    ("net/ipv4/ip_local_port_range", "16384 65535"),
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    ("net/ipv4/ping_group_range", "0 0"),
    ("net/ipv4/tcp_max_syn_backlog", "16384"),
    ("net/core/somaxconn", "16384"),
)

# Services that would resolve names on the host, past the lab's network namespace.
HOST_RESOLVERS = ("/run/systemd/resolve", "/run/nscd", "/run/dbus", "/run/avahi-daemon")


# Where programs look for the authorities that they trust (Debian's openssl, and whoever links to it).
CERTIFICATES = Path("/etc/ssl/certs")
BUNDLE = "ca-certificates.crt"
END = b"-----END CERTIFICATE-----"


def furnish(state_dir: Path, host_name: str) -> None:
    """Make the namespaces a place where tors and targets can live. OperatorError when something is missing."""
    _raise_limits()
    mount("none", "/", flags=MS_REC | MS_SLAVE)
    _mount_proc()
    _hide_host_resolvers(state_dir)
    _own_certificates(state_dir)
    with suppress(OSError):
        socket.sethostname(host_name)
    _configure_network()


def _raise_limits() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _mount_proc() -> None:
    try:
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except PermissionError as error:
        raise OperatorError(
            "The lab can't mount a /proc of its own here: this container hides parts of the one it has.",
            "Start the container with --security-opt systempaths=unconfined, or run the lab outside it.",
        ) from error


def _hide_host_resolvers(state_dir: Path) -> None:
    resolv_conf = state_dir / "resolv.conf"
    resolv_conf.write_text(f"nameserver {network.DNS_ADDRESS}\noptions timeout:2 attempts:2\n")
    for directory in HOST_RESOLVERS:
        if Path(directory).is_dir():
            mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k")
    for name in ("resolv.conf", "stub-resolv.conf"):
        with suppress(OSError):
            shutil.copyfile(resolv_conf, Path("/run/systemd/resolve") / name)
    # Without the file the C library asks 127.0.0.1, where the lab's server listens too.
    if Path("/etc/resolv.conf").exists():
        mount(str(resolv_conf), "/etc/resolv.conf", flags=MS_BIND)


def _own_certificates(state_dir: Path) -> None:
    """A directory of the lab's own in the place of the machine's trusted authorities; `trust` fills it."""
    own = state_dir / "certificates"
    own.mkdir(mode=0o755, exist_ok=True)
    if CERTIFICATES.is_dir():
        mount(str(own), str(CERTIFICATES), flags=MS_BIND)


def trust(state_dir: Path, bundle: bytes) -> None:
    """Make these authorities (PEM) the ones that programs in the lab trust, in both forms that openssl reads."""
    own = state_dir / "certificates"
    (own / BUNDLE).write_bytes(bundle)
    for number, one in enumerate(bundle.split(END)[:-1]):
        (own / f"lab-{number}.pem").write_bytes(one.lstrip() + END + b"\n")
    with suppress(FileNotFoundError):  # the links are for those who read no bundle
        subprocess.run(["openssl", "rehash", str(own)], capture_output=True, timeout=10)


def _configure_network() -> None:
    batch = "\n".join(ROUTES) + "\n"
    try:
        subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True, capture_output=True, timeout=10)
    except FileNotFoundError as error:
        raise OperatorError("The lab needs the program `ip`.", "Install iproute2.") from error
    except subprocess.CalledProcessError as error:
        raise OperatorError(f"The lab's network can't be set up: {error.stderr.strip()}.") from error
    for name, value in SETTINGS:
        with suppress(OSError):
            (Path("/proc/sys") / name).write_text(value)
