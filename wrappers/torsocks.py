"""torsocks' settings, by their own names, what becomes of them inside a run, and its command, which passes through.

People bring a torsocks.conf and TORSOCKS_* variables along. Here they are read as torsocks 2.4 reads them, but bad
lines are refused where torsocks warns and goes on. Does not apply them: whoever plans a run asks `allows_*` and prints
`notes`. Sources: torsocks.conf(5), torsocks(8), and the names in libtorsocks.so.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..orchestrator.errors import OperatorError

DEFAULT_FILE = Path("/etc/tor/torsocks.conf")
CONF_FILE_VARIABLE = "TORSOCKS_CONF_FILE"


@dataclass(frozen=True, slots=True)
class TorsocksSettings:
    """What torsocks would do. `origins`: for each directive that was set, `FILE:LINE` or the variable's name."""

    tor_address: str = "127.0.0.1"
    tor_port: int = 9050
    onion_addr_range: str = "127.42.42.0/24"
    socks5_username: str | None = None
    socks5_password: str | None = field(default=None, repr=False)
    allow_inbound: bool = False
    allow_outbound_localhost: int = 0
    isolate_pid: bool = False
    enable_ipv6: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def allows_listen(self) -> bool:
        """AllowInbound: the run may listen (`--allow listen`)."""
        return self.allow_inbound

    @property
    def allows_loopback_tcp(self) -> bool:
        """AllowOutboundLocalhost 1 or 2: TCP to this machine's own services, past Tor."""
        return self.allow_outbound_localhost >= 1

    @property
    def allows_ipv6(self) -> bool | None:
        """EnableIPv6 if it was set; None leaves exitpin's own default, which is to allow it."""
        return self.enable_ipv6 if "EnableIPv6" in self.origins else None

    def notes(self) -> tuple[str, ...]:
        """One sentence for each setting that differs from torsocks' default and is not followed inside a run."""
        return (
            tuple(
                f"{origin}: {directive.name} is not followed: {directive.instead}"
                for directive in DIRECTIVES
                if directive.instead and (origin := self.origins.get(directive.name))
                if getattr(self, directive.attribute) != getattr(_DEFAULTS, directive.attribute)
            )
            + self._loopback_note()
        )

    def _loopback_note(self) -> tuple[str, ...]:
        if self.allow_outbound_localhost < 2:
            return ()
        origin = self.origins["AllowOutboundLocalhost"]
        return (f"{origin}: AllowOutboundLocalhost 2 is taken for 1: datagrams are refused, to this machine as well",)


@dataclass(frozen=True, slots=True)
class Directive:
    """One setting. `instead`: what holds inside a run if it is not followed; empty: it is followed."""

    name: str
    attribute: str
    variable: str | None
    parse: Callable[[str], Any]
    valid: str
    instead: str = ""


def read_torsocks_settings(env: Mapping[str, str], default_file: Path = DEFAULT_FILE) -> TorsocksSettings:
    """The settings that torsocks would follow here: its file, then its variables.

    Raises OperatorError with every bad line and variable, or if TORSOCKS_CONF_FILE names a file that can't be read.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    wrong: list[str] = []
    for origin, name, text in [*_file_lines(env, default_file, wrong), *_variables(env)]:
        directive = next((each for each in DIRECTIVES if each.name == name), None)
        if directive is None:
            valid = ", ".join(each.name for each in DIRECTIVES)
            wrong.append(f"{origin}: {name}: no such directive; valid are {valid}")
            continue
        try:
            values[directive.attribute] = directive.parse(text)
            origins[name] = origin
        except ValueError:
            wrong.append(f"{origin}: {name}: {text!r} is not {directive.valid}")
    settings = TorsocksSettings(**values, origins=origins)
    wrong += _contradictions(settings)
    if wrong:
        raise OperatorError("\n".join(wrong), f"\nCorrect it, or set {CONF_FILE_VARIABLE}=/dev/null to go without.")
    return settings


def passthrough_dir() -> Path:
    """The folder with a `torsocks` and a `torify` that pass through; it goes first in the PATH of a run."""
    return Path(__file__).resolve().parent / "shims"


def _file_lines(env: Mapping[str, str], default_file: Path, wrong: list[str]) -> list[tuple[str, str, str]]:
    """(origin, directive, value) of each line; a missing default file is no error, as for torsocks."""
    named = env.get(CONF_FILE_VARIABLE)
    path = Path(named) if named else default_file
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        if named:
            wrong.append(f"{CONF_FILE_VARIABLE}: {path}: {error.strerror}")
        return []
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split(maxsplit=1)
        if words:
            lines.append((f"{path}:{number}", words[0], words[1].strip() if len(words) > 1 else ""))
    return lines


def _variables(env: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [
        (each.variable, each.name, env[each.variable]) for each in DIRECTIVES if each.variable and each.variable in env
    ]


def _contradictions(settings: TorsocksSettings) -> list[str]:
    origins = settings.origins
    wrong = []
    for one, other in (("SOCKS5Username", "SOCKS5Password"), ("SOCKS5Password", "SOCKS5Username")):
        if one in origins and other not in origins:
            wrong.append(f"{origins[one]}: {one} needs {other} beside it")
    if settings.isolate_pid and "SOCKS5Username" in origins:
        wrong.append(f"{origins['IsolatePID']}: IsolatePID 1 can't stand beside SOCKS5Username; valid is one of them")
    return wrong


def _one_of(*choices: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text not in map(str, choices):
            raise ValueError
        return int(text)

    return parse


def _flag(text: str) -> bool:
    return bool(_one_of(0, 1)(text))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _range(text: str) -> str:
    if "/" not in text:
        raise ValueError
    return str(ipaddress.IPv4Network(text, strict=False))


def _credential(text: str) -> str:
    if not 1 <= len(text.encode("utf-8", "surrogateescape")) <= 255:
        raise ValueError
    return text


_OWN_TOR = "a run has its own tor"
_OWN_CIRCUIT = "a run has a circuit of its own, and its user names carry the proof"
_ZERO_ONE = "0 or 1"
_LENGTH = "1 to 255 bytes (RFC 1929)"

DIRECTIVES = (
    Directive("TorAddress", "tor_address", "TORSOCKS_TOR_ADDRESS", _address, "an IP address", _OWN_TOR),
    Directive("TorPort", "tor_port", "TORSOCKS_TOR_PORT", _port, "a port from 1 to 65535", _OWN_TOR),
    Directive(
        "OnionAddrRange",
        "onion_addr_range",
        None,
        _range,
        "an IPv4 network such as 127.42.42.0/24",
        "names are mapped to addresses of exitpin's own",
    ),
    Directive("SOCKS5Username", "socks5_username", "TORSOCKS_USERNAME", _credential, _LENGTH, _OWN_CIRCUIT),
    Directive("SOCKS5Password", "socks5_password", "TORSOCKS_PASSWORD", _credential, _LENGTH, _OWN_CIRCUIT),
    Directive("AllowInbound", "allow_inbound", "TORSOCKS_ALLOW_INBOUND", _flag, _ZERO_ONE),
    Directive("AllowOutboundLocalhost", "allow_outbound_localhost", None, _one_of(0, 1, 2), "0, 1 or 2"),
    Directive("IsolatePID", "isolate_pid", "TORSOCKS_ISOLATE_PID", _flag, _ZERO_ONE, _OWN_CIRCUIT),
    Directive("EnableIPv6", "enable_ipv6", "TORSOCKS_ENABLE_IPV6", _flag, _ZERO_ONE),
)
_DEFAULTS = TorsocksSettings()
