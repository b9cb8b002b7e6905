"""Whether a run can hold a command, and whether by the shim, told from its file before anything is started.

Follows a script to its interpreter, reads ELF headers, and knows what well-known tools do that Tor can't carry. The
launcher decides for good when it executes the command; this says the same earlier and in words. Called by the doctor,
and by `run`, which chooses a level by it.
Sources: elf(5), ld.so(8); `shebang.py`.
"""

import os
import shutil
import stat
import struct
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from .shebang import NoInterpreter, first_line, interpreter

PT_INTERP, PT_NOTE = 3, 4
MAX_INTERPRETERS = 4
SEGMENTS_MAX, LOADER_MAX = 1024, 256
"""As the launcher: it refuses a program with more."""

_UDP = "its datagrams are refused: Tor carries TCP only"
_RAW = "it sends raw packets, which Tor can't carry"
_DAEMON = "a daemon outside the run does the work, and is not pinned"

# What no flag of the tool mends, and what the user should add or know.
HOPELESS = {
    **dict.fromkeys(["ping", "ping6", "traceroute", "mtr", "hping3", "masscan", "arping", "fping"], _RAW),
    **dict.fromkeys(["mosh", "mosh-client", "ntpdate", "chronyd", "tftp", "iperf", "openvpn", "wg-quick"], _UDP),
    **dict.fromkeys(["docker", "systemd-run", "at", "batch", "crontab", "flatpak", "snap", "xdg-open"], _DAEMON),
}
REMARKS = {
    "dig": "below the level notify add +tcp: its datagrams are refused",
    "delv": "below the level notify add +tcp: its datagrams are refused",
    "kdig": "below the level notify add +tcp: its datagrams are refused",
    "host": "below the level notify add -T: its datagrams are refused",
    "nslookup": "below the level notify add -vc: its datagrams are refused",
    "curl": "HTTP/1.1 and 2 work; --http3 is refused, being UDP",
    "nc": "TCP works; -u and -l are refused",
    "nmap": "use -sT -Pn: raw packets are refused; below the level notify add -n: so are its own look-ups",
    "node": "dns.lookup works; dns.resolve speaks UDP: --containment notify answers it",
    "nodejs": "dns.lookup works; dns.resolve speaks UDP: --containment notify answers it",
    "tmux": "a server that is running already is outside the run: use tmux -L with a new name, and --allow listen",
    "screen": "a session that is running already is outside the run; a new one wants --allow listen",
    "ssh": "a master (-M) wants --allow listen, an agent --allow unix:$SSH_AUTH_SOCK",
    **dict.fromkeys(["python", "python3"], "managers of multiprocessing, and forkserver, want --allow listen"),
    "torsocks": "inside a run it passes through",
    "torify": "inside a run it passes through",
}


RESOLVES_ITSELF = frozenset({"dig", "delv", "kdig", "host", "nslookup", "drill", "nmap"})
"""Over UDP, past the hooks: only the level notify has a name server for them."""
ASKS_OVER_UDP = RESOLVES_ITSELF | {"node", "nodejs"}
"""Those, and who does so only now and then."""


@dataclass(frozen=True, slots=True)
class Program:
    """A command as found. `obstacle`: why it can't be run, empty if it can; `unhooked`: why hooks can't steer it, so
    that the kernel has to hand its connects over, empty if they can; `interpreters`: of a script."""

    path: str
    obstacle: str = ""
    unhooked: str = ""
    remark: str = ""
    interpreters: tuple[str, ...] = ()

    @property
    def wants_notify(self) -> bool:
        """Whether hooks alone would not do."""
        return bool(self.unhooked) or os.path.basename(self.path) in RESOLVES_ITSELF


@dataclass(frozen=True, slots=True)
class Elf:
    """What an ELF file says of itself. `loader`: its PT_INTERP, empty if it is static."""

    ident: bytes
    machine: int
    loader: str
    is_go: bool


def look_at(command: str, search_path: str) -> Program:
    """Find `command` as a shell would, and say what stands in the way of a run."""
    found = shutil.which(command, path=search_path)
    if found is None:
        return Program(command, _why_not_found(command))
    name = os.path.basename(command)
    program = _follow(found, search_path, MAX_INTERPRETERS)
    remark = REMARKS.get(name) or next((REMARKS[n] for n in map(_name, program.interpreters) if n in REMARKS), "")
    return replace(program, obstacle=program.obstacle or HOPELESS.get(name, ""), remark=remark)


def read_elf(path: str) -> Elf | None:
    """The headers of an ELF file, or None if it is none. Raises OSError; a truncated file is no ELF."""
    with open(path, "rb") as file:
        return _elf_of(file.fileno())


def _elf_of(file: int) -> Elf | None:
    """What they lead to may stand anywhere in it."""
    head = os.pread(file, 64, 0)
    if not head.startswith(b"\x7fELF") or len(head) < 64:
        return None
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    (machine,) = struct.unpack_from(f"{order}H", head, 18)
    (table,) = struct.unpack_from(f"{order}Q" if wide else f"{order}I", head, 32 if wide else 28)
    size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
    if count > SEGMENTS_MAX or (count and size < (56 if wide else 32)):
        return None
    loader, is_go = "", False
    for index in range(count):
        segment = _read(file, table + index * size, 56 if wide else 32)
        if segment is None:
            return None
        (kind,) = struct.unpack_from(f"{order}I", segment)
        if kind not in (PT_INTERP, PT_NOTE):
            continue
        offset, length = (
            (*struct.unpack_from(f"{order}Q", segment, 8), *struct.unpack_from(f"{order}Q", segment, 32))
            if wide
            else (*struct.unpack_from(f"{order}I", segment, 4), *struct.unpack_from(f"{order}I", segment, 16))
        )
        content = _read(file, offset, min(length, LOADER_MAX))
        if kind == PT_INTERP:
            if content is None or length > LOADER_MAX:
                return None
            loader = content.split(b"\0", 1)[0].decode("ascii", "replace")
        is_go = is_go or (kind == PT_NOTE and content is not None and content[12:16] == b"Go\0\0")
    return Elf(head[:6], machine, loader, is_go)


def _read(file: int, offset: int, size: int) -> bytes | None:
    """All of it, or None. Raises OSError."""
    if offset >= 1 << 63:
        return None
    content = os.pread(file, size, offset)
    return content if len(content) == size else None


def _follow(path: str, search_path: str, depth: int) -> Program:
    """The program at `path`, or what stands in the way in it or in what interprets it."""
    try:
        obstacle = _privilege(path)
        words = first_line(path)
        if obstacle or words is None:
            return Program(path, obstacle) if obstacle else _binary(path)
    except OSError as error:
        return Program(path, f"{path} can't be read: {error.strerror}")
    if depth == 0:
        return Program(path, "its interpreters are scripts of scripts")
    try:
        found = interpreter(words, search_path)
    except NoInterpreter as error:
        return Program(path, str(error))
    inner = _follow(found, search_path, depth - 1)
    obstacle = f"its interpreter {found}: {inner.obstacle}" if inner.obstacle else ""
    unhooked = f"its interpreter {found}: {inner.unhooked}" if inner.unhooked else ""
    return Program(path, obstacle, unhooked, interpreters=(found, *inner.interpreters))


def _why_not_found(command: str) -> str:
    if "/" not in command or not Path(command).exists():
        return "no such command in PATH" if "/" not in command else "no such file"
    return "it is a directory" if Path(command).is_dir() else "it is not executable: chmod +x"


def _privilege(path: str) -> str:
    status = os.stat(path)
    if status.st_mode & stat.S_ISUID:
        return "it is setuid: it would drop the shim, and a run gains no privileges"
    if status.st_mode & stat.S_ISGID:
        return "it is setgid: it would drop the shim, and a run gains no privileges"
    try:
        os.getxattr(path, "security.capability")
    except OSError:
        return ""
    return "it has file capabilities: it would drop the shim, and a run gains no privileges"


def _binary(path: str) -> Program:
    elf, own = read_elf(path), read_elf(os.path.realpath(sys.executable))
    if elf is None:
        return Program(path, "it is neither a script with #! nor an ELF file")
    if own is not None and (elf.ident, elf.machine) != (own.ident, own.machine):
        return Program(path, "it is built for another machine or word size than the shim")
    if elf.is_go:
        return Program(path, unhooked="it is a Go program, which makes its own system calls")
    if not elf.loader:
        return Program(path, unhooked="it is static: the shim can't be loaded into it")
    if own is not None and elf.loader != own.loader:
        return Program(path, unhooked=f"it is built for another C library ({elf.loader})")
    return Program(path)


def _name(path: str) -> str:
    return os.path.basename(path)
