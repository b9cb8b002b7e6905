"""Every way out that we know of, as a table: what is run, what it is to show, and its row in the survey.

A vector's number is its place in the table: it goes to 198.51.100.NUMBER (or 2001:db8:1::NUMBER, or a name with that
address in it) and nobody else does, so that a packet tells whose it is. The programs are in programs/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PASSED_OVER = frozenset({53, 66, 67})
"""Last bytes that mean something else in the lab: its name server, its black hole, its unreachable address."""

NUMBER_MAX = 250


class Start(StrEnum):
    """How a vector's program is started, and what it is given besides its number and port. READ_ONLY: as UNIX, with
    `--read-only` where a level can hold that."""

    PLAIN = "plain"
    SHELL = "shell"
    DIRECT = "direct"
    DESCRIPTOR = "descriptor"
    STDIN = "stdin"
    STDOUT = "stdout"
    CAPABLE = "capable"
    UNIX = "unix"
    READ_ONLY = "read-only"
    HOLDER = "holder"


@dataclass(frozen=True, slots=True)
class Vector:
    """One way out.

    `works`: an honest program does this, and should reach its target through the exit; else a refusal is as good.
    `works_at_notify`: likewise, but only where the kernel hands each connect to a supervisor.
    `program`: what has to be built for it besides `vectors`. `row`: in the survey of torsocks 2.4.0 and proxychains
    4.16 that the shim was designed from; empty: found since.
    """

    name: str
    theme: str
    row: str = ""
    works: bool = False
    works_at_notify: bool = False
    start: Start = Start.PLAIN
    program: str = "vectors"

    def should_work(self, way: str) -> bool:
        """Whether a refusal is a defect, in this way."""
        return self.works or (way.startswith("notify") and self.works_at_notify)


def _theme(theme: str, rows: str, start: Start = Start.PLAIN) -> tuple[Vector, ...]:
    """One vector a word: NAME[@ROW][!|~][=PROGRAM]. `!`: it should work; `~`: at the level notify."""
    found = []
    for word in rows.split():
        head, _, program = word.partition("=")
        name, _, row = head.rstrip("!~").partition("@")
        works, at_notify = head.endswith("!"), head.endswith("~")
        found.append(Vector(name, theme, row, works, at_notify, start, program or "vectors"))
    return tuple(found)


VECTORS: tuple[Vector, ...] = (
    *_theme(
        "streams",
        "tcp4! tcp6! v4mapped! sendto-tfo@3 sendmsg-tfo@1 sendmmsg-tfo@2 tfo-connect@4! mptcp@44 smc@45 sctp@45 "
        "bind-any! bind-host bind-port-twice@68 bind-device@46 unicast-if unspec-then@63! connect-twice@64! "
        "listen-any@59",
    ),
    *_theme(
        "descriptors",
        "nonblock-poll! epoll-before@65! options-kept@66! big-fd@67! reuse-close@61! reuse-dup2@61! "
        "reuse-close-range@61! reuse-closefrom@61! reuse-rawclose@61! dup-peer! vfork-exit@69! alarm-longjmp@74! "
        "signal-restart! threads! fork-in-threads!",
    ),
    *_theme(
        "datagrams",
        "udp@30 udp-connect@30 udp-write@30 udp-sendmsg@30 udp-sendmmsg@30 udp-unspec udp6@31 udplite@31 "
        "udp-cork ping@32 ping6 rawip@32 multicast-join@34 multicast-join6 multicast-send broadcast "
        "stream-join stream-join-source stream-join6 stream-join-mixed stream-route",
    ),
    *_theme(
        "families",
        "packet-raw@33 packet-datagram@33 vsock@35 netlink-address interface-addresses@60 interface-ioctl tunnel",
    ),
    *_theme("families", "macvtap", Start.UNIX),
    *_theme(
        "system calls",
        "syscall-connect@5~ syscall-udp syscall-sendto-tfo@6 syscall-sendmsg-tfo@6 syscall-listen syscall-smc "
        "names-payload names-connect "
        "names-then-sendto names-then-unspec names-then-sendmsg names-then-connect raw-clone raw-instruction@7~ "
        "raw-connect-alone@7 x32@9 int80-socketcall@8 int80-direct@8 int80-udp@8",
    ),
    *_theme("io_uring", "uring-connect@10 uring-sqpoll uring-socket@11 uring-tfo"),
    *_theme(
        "loader",
        "libc-alias@12! dlsym-next@14! dlsym-libc@13~ dlvsym-default dlmopen@15~ plugin@17! plugin-deepbind@16~ "
        "preinit=preinit jemalloc@70!=plain-jemalloc",
    ),
    *_theme(
        "exec",
        "exec-empty@23! exec-clearenv@23! exec-unsetenv@23! exec-emptied@23! exec-syscall@23~ exec-at@23! "
        "spawn-empty@24! spawn-static@24~=plain-static system-unset@24! popen-unset@24! env-i@25! bash-exec-c@25! "
        "python-env@25! perl-env@25! setsid! dev-tcp! ld-so exec-static@19~=plain-static "
        "exec-musl-static@19~=plain-musl-static exec-musl@22~=plain-musl exec-m32@21=plain-32 exec-go@20~=plain-go "
        "execvp-static@19~=plain-static fexecve-static@19~=plain-static memfd-static~=plain-static "
        "system-static@19~=plain-static exec-capabilities@27=plain-caps hidden-library@29 spaced-library@28!",
    ),
    *_theme("exec", "sh-c@75!", Start.SHELL),
    *_theme(
        "exec",
        "direct-static@19~=plain-static direct-musl-static@19~=plain-musl-static direct-m32@21=plain-32 "
        "direct-go@20~=plain-go",
        Start.DIRECT,
    ),
    *_theme(
        "names",
        "gai! gai-no-hints@47! gai-unspec! gai-literal6@56! gai-octal@56! gai-v6-alone@57! own-name@55! "
        "gai-in-child@58! gai-after-closefrom@62! gai-async@50 ghbn@51! ghbn2@51! ghbn-r@51! ghbn2-r@51! "
        "ghba@51 ghba-r@51 getnameinfo@48 res-query@49 res-search@49 res-nsearch@49 res-send@49 rcmd@18 rexec@18 "
        "own-udp-resolver@52 getent-hosts@72! getent-ahosts! dig@53~ host@53~ node-cares@52~ python-name!",
    ),
    *_theme(
        "inherited",
        "inherited-udp-send@37 inherited-udp-write@37 inherited-udp-sendto@38 inherited-udp-unspec@39 "
        "inherited-udp-sendmsg@40 inherited-tcp@41 inherited-unix",
        Start.DESCRIPTOR,
    ),
    *_theme("inherited", "stdin-udp stdin-tcp stdin-unix stdin-datagram", Start.STDIN),
    *_theme("inherited", "stdout-tcp stdout-unix", Start.STDOUT),
    *_theme("inherited", "inherited-capability", Start.CAPABLE),
    *_theme(
        "unix sockets",
        "unix-stream@36 unix-seqpacket@36 unix-datagram@36 unix-syscall@36 unix-datagram-syscall@36 unix-abstract@36 "
        "resolver-nscd@54 resolver-varlink@54 resolver-dbus@54 fifo terminal spool "
        "rights-udp@42 rights-udp-recvmmsg@42 rights-tcp@42 rights-tcp-recvmmsg@42 "
        "rights-count@71!",
        Start.UNIX,
    ),
    *_theme("unix sockets", "spool-read-only fifo-read-only", Start.READ_ONLY),
    *_theme("queues", "queue-sysv queue-posix memory-sysv", Start.UNIX),
    *_theme(
        "other processes",
        "pidfd-getfd@43 pidfd-getfd-connect@43 vm-writev proc-mem ptrace proxy-loopback proxy-any proxy-loopback6 "
        "proxy-mapped",
        Start.HOLDER,
    ),
    *_theme(
        "races",
        "race-family race-family-syscall race-descriptor race-descriptor-syscall kill-launcher kill-orchestrator "
        "kill-orchestrator-syscall",
    ),
)  # fmt: skip

_LAST_BYTES = [number for number in range(1, NUMBER_MAX + 1) if number not in PASSED_OVER]
NUMBERS: Mapping[str, int] = {vector.name: _LAST_BYTES[place] for place, vector in enumerate(VECTORS)}

LISTENERS = ("listen-any", "syscall-listen")
"""They wait for the neighbour on the wire to come in."""

DEFENCES: Mapping[str, tuple[str, ...]] = {
    "landlock": ("syscall-connect", "raw-instruction", "raw-connect-alone"),
    "sockets": ("syscall-udp", "names-payload"),
    "fast-open": ("syscall-sendto-tfo", "syscall-sendmsg-tfo"),
    "io_uring": ("uring-socket",),
    "machine": ("int80-udp",),
    "capabilities": ("netlink-address", "inherited-capability"),
    "listen": ("syscall-listen",),
    "protocols": ("syscall-smc",),
    "tunnels": ("tunnel",),
    "options": ("stream-join", "stream-join-source", "stream-join6", "stream-join-mixed"),
    "named-peers": ("stdin-unix", "stdout-unix"),
    "hide": ("unix-syscall",),
    "pipes": ("fifo",),
    "terminals": ("terminal",),
    "taps": ("macvtap",),
    "queues": ("queue-sysv", "queue-posix", "memory-sysv"),
    "read-only": ("spool-read-only",),
    "pipes+read-only": ("fifo-read-only",),
    "hide+unix-datagrams": ("unix-datagram-syscall",),
    "hide+named-peers": ("stdin-datagram",),
}
"""Which vectors must leak at the guard when one defence is left out (`--without NAME`): all others stand, and do not
stop them. A+B: what each of the two would stop alone. One that no vector misses is not tested here."""

OPEN: Mapping[str, str] = {
    "spool": "a tool may use the files of its user, and somebody else may act on them",
}
"""What guard and notify are known to leave open, by decision, and where users are told (docs/containment.rst): counted
and shown, and no failure of the run."""
