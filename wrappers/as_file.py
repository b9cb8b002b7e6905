"""Which autonomous system announces an address, by a file that the user gives.

Three forms are read, a prefix a line: `192.0.2.0/24<TAB>64496` (pyasn), `192.0.2.0<TAB>24<TAB>64496` (RouteViews
prefix2as, where `1_2` and `1,2` are several systems), and `192.0.2.0/24,64496,"Name"` (GeoLite2 ASN, with its line of
names). Comments begin with `;` or `#`. A file is as large as the internet (a million lines), so no line is made into
an object: the few prefixes that could hold a relay are known beforehand, and looked for.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from ..orchestrator.errors import EXIT_USAGE, OperatorError

LINE_MAX = 1 << 12  # bytes, its end included
HINT = "Lines are `PREFIX<TAB>ASN`, `ADDRESS<TAB>LENGTH<TAB>ASN`, or `PREFIX,ASN,NAME`."
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LINE = re.compile(
    rb"(" + _OCTET + rb"(?:\." + _OCTET + rb"){3})[/\t](3[0-2]|[12]?[0-9])[\t,](?:AS)?"
    rb"([0-9]{1,10}(?:[_,][0-9]{1,10})*)(?:,.*)?\s*"
)
_IPV6 = re.compile(rb"([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?:/|\t)([0-9]{1,3})[\t,](?:AS)?[0-9]{1,10}.*")
_NUMBERS = re.compile(rb"[0-9]+")
_NAMES = b"network,"
_ENDS = {b"8": b".0.0.0", b"16": b".0.0", b"24": b".0", b"32": b""}
"""How the networks end that most lines are of."""


def read_systems(path: Path, addresses: Iterable[str]) -> dict[str, frozenset[int]]:
    """The systems of the longest prefix that holds each IPv4 address; those that nobody announces are left out.

    Raises OperatorError, with the line, for a file that can't be read or has another form.
    """
    wanted = _prefixes(addresses)
    systems: dict[tuple[bytes, bytes], frozenset[int]] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_MAX), b""), 1):
                if len(line) == LINE_MAX:
                    raise _wrong(path, number, line)
                match = _LINE.fullmatch(line)
                if match is None:
                    if not _may_be_passed_over(line, number):
                        raise _wrong(path, number, line)
                    continue
                network, length, numbers = match.groups()
                if not _is_network(network, length):
                    raise _wrong(path, number, line)
                if (network, length) in wanted:
                    systems[network, length] = frozenset(map(int, _NUMBERS.findall(_only(numbers, line))))
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}.", "", EXIT_USAGE) from error
    if not systems:
        raise OperatorError(f"{path} has no prefix of any relay.", HINT, EXIT_USAGE)
    found: dict[str, frozenset[int]] = {}
    for key in sorted(systems, key=lambda key: int(key[1])):  # the longest last
        found.update(dict.fromkeys(wanted[key], systems[key]))
    return found


def _only(numbers: bytes, line: bytes) -> bytes:
    """Of `192.0.2.0/24,64496,3M Company` the first number alone: there a comma ends it."""
    return numbers if b"\t" in line else numbers.partition(b",")[0]


def _prefixes(addresses: Iterable[str]) -> dict[tuple[bytes, bytes], list[str]]:
    """Each prefix, as it is written, that holds one of the addresses; with whom it holds."""
    found: dict[tuple[bytes, bytes], list[str]] = {}
    for address in dict.fromkeys(addresses):
        whole = int(ipaddress.IPv4Address(address))
        for length in range(33):
            network = whole >> 32 - length << 32 - length
            found.setdefault((socket.inet_ntoa(network.to_bytes(4)).encode(), b"%d" % length), []).append(address)
    return found


def _is_network(address: bytes, length: bytes) -> bool:
    """Whether it has no bit behind its length."""
    if length in _ENDS:
        return address.endswith(_ENDS[length])
    value = int.from_bytes(socket.inet_aton(address.decode("ascii")))
    return not value & (1 << 32 - int(length)) - 1


def _may_be_passed_over(line: bytes, number: int) -> bool:
    text = line.strip()
    if not text or text[:1] in b";#" or (number == 1 and text.startswith(_NAMES)):
        return True
    ipv6 = _IPV6.fullmatch(text)
    if ipv6 is None:
        return False
    try:
        ipaddress.IPv6Network(f"{ipv6[1].decode()}/{ipv6[2].decode()}")
    except ValueError:
        return False
    return True


def _wrong(path: Path, number: int, line: bytes) -> OperatorError:
    shown = line.decode("utf-8", "backslashreplace").strip()[:80]
    printable = "".join(letter if letter.isprintable() else "?" for letter in shown.replace("\t", " "))
    return OperatorError(f"{path}:{number}: {printable!r} is no prefix with its AS.", HINT, EXIT_USAGE)
