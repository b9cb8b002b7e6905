"""What a parameter's text may be, by its declared type. Pure; one value at a time, a list's items singly.

Values become single elements of an argv: what starts with `-` would be read as an option there, so hosts, addresses,
URLs and paths that do are refused. Called by `params.py` for what users give, and for the defaults in a tool's file.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence

from ..duration import duration_s
from ..names import can_exit_reach
from ..tool import Param
from .templates import BUILT_IN, fill_known, names_in

DEFAULT_PORTS = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ftps": 990, "ssh": 22, "sftp": 22, "telnet": 23,
    "smtp": 25, "smtps": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "ldap": 389, "ldaps": 636,
    "irc": 6667, "ircs": 6697, "git": 9418, "rsync": 873, "mqtt": 1883, "gopher": 70, "dict": 2628,
}  # fmt: skip
DEFAULT_SCHEMES = ("http", "https")

MAY_BE_FILLED = ("str", "host", "ip", "url", "path")
"""Types whose value may hold placeholders of what is known only when a run starts."""

_SAMPLES = {name: "a" for name in BUILT_IN} | {"exit.fp": "A" * 40, "exit.ip": "192.0.2.1", "nonce": "0" * 16}
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_URL = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*)://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\]+)(?::(\d{1,5}))?(?:[/?#][^\s\\]*)?"
)


def parse_value(param: Param, text: str) -> str:
    """The text as runs get it: durations become seconds, fingerprints 40 upper-case digits, the rest stays.

    A text with placeholders (only where `MAY_BE_FILLED`) is checked with samples in their place and stays as it is.
    Raises ValueError with what is valid.
    """
    unknown = [name for name in names_in(text) if name not in _SAMPLES]
    if unknown:
        known = ", ".join(BUILT_IN)
        raise ValueError(f"{VALID[param.type]} without {{{{{unknown[0]}}}}}, which no run knows (there are {known})")
    if names_in(text) and param.type not in MAY_BE_FILLED:
        raise ValueError(f"{VALID[param.type]}, without placeholders")
    sample = fill_known(text, _SAMPLES)
    valid = describe(param)
    if "\0" in sample or (param.is_list and "," in sample):
        raise ValueError(valid)
    try:
        value = _PARSERS[param.type](sample)
    except ValueError:
        raise ValueError(valid) from None
    if param.type == "url" and sample.partition("://")[0].lower() not in (param.schemes or DEFAULT_SCHEMES):
        raise ValueError(valid)
    if param.choices and sample not in param.choices:
        raise ValueError(valid)
    if param.pattern and not re.fullmatch(param.pattern, sample):
        raise ValueError(valid)
    return text if names_in(text) else value


def describe(param: Param) -> str:
    """What is valid, to follow the words "must be"."""
    if param.choices:
        return f"one of {', '.join(param.choices)}"
    text = VALID[param.type]
    if param.type == "url":
        text += f" (scheme {' or '.join(param.schemes or DEFAULT_SCHEMES)})"
    if param.pattern:
        text += f" that matches {param.pattern}"
    return f"{text}, without a comma" if param.is_list and param.type in ("str", "url", "path") else text


def split_url(text: str) -> tuple[str, str, int]:
    """Scheme, host without brackets, and port. Raises ValueError for what is no URL, names a user, or has a scheme
    whose port is not known and names none."""
    match = _URL.fullmatch(text)
    if match is None or not text.isprintable():
        raise ValueError(text)
    scheme = match[1].lower()
    host = match[2].strip("[]")
    _host(host)
    port = match[3] or str(DEFAULT_PORTS.get(scheme, ""))
    return scheme, host, int(_port(port))


def _text(text: str) -> str:
    return text


def _int(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError
    return text


def _float(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        raise ValueError
    return text


def _bool(text: str) -> str:
    if text not in ("true", "false"):
        raise ValueError
    return text


def _host(text: str) -> str:
    if ":" in text:
        ipaddress.IPv6Address(text)
    elif len(text) > 253 or not _HOST.fullmatch(text) or not can_exit_reach(text):
        raise ValueError
    elif re.fullmatch(r"[0-9.]+", text):
        ipaddress.IPv4Address(text)
    return text


def _ip(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _port(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError
    return str(int(text))


def _url(text: str) -> str:
    split_url(text)
    return text


def _path(text: str) -> str:
    if not text or text.startswith("-"):
        raise ValueError
    return text


def _duration(text: str) -> str:
    return f"{duration_s(text):.6f}".rstrip("0").rstrip(".")


def _fingerprint(text: str) -> str:
    digits = text.removeprefix("$")
    if not re.fullmatch(r"[0-9A-Fa-f]{40}", digits):
        raise ValueError
    return digits.upper()


_PARSERS: dict[str, Callable[[str], str]] = {
    "str": _text, "int": _int, "float": _float, "bool": _bool, "host": _host, "ip": _ip, "port": _port, "url": _url,
    "path": _path, "enum": _text, "duration": _duration, "fingerprint": _fingerprint,
}  # fmt: skip

VALID = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "host": "a host name or an IP address that an exit can reach (no port, no leading '-')",
    "ip": "an IP address",
    "port": "a port from 1 to 65535",
    "url": "a URL such as http://example.org/ (no user name, no blanks)",
    "path": "a path that does not start with '-'",
    "enum": "one of the choices",
    "duration": "a time such as 45s, 500ms, 2m or seconds",
    "fingerprint": "a relay's fingerprint, 40 hex digits",
}


def split_list(param: Param, text: str) -> Sequence[str]:
    """The items of a list's text; a plain parameter is one."""
    return [item.strip() for item in text.split(",")] if param.is_list else [text]
