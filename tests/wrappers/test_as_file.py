"""Files that say which AS announces what: three forms of them, and what is wrong in one is told by its line."""

import re
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.as_file import read_systems

ADDRESSES = ("192.0.2.7", "192.0.2.200", "198.51.100.1", "203.0.113.9")
PYASN = "; IP-ASN32-DAT file\n; Original file : rib\n192.0.0.0/16\t64496\n192.0.2.128/25\t64497\n2001:db8::/32\t64498\n"
ROUTEVIEWS = "192.0.0.0\t16\t64496\n192.0.2.128\t25\t64497_64498\n198.51.100.0\t24\t64499,64500\n"
GEOLITE = (
    "network,autonomous_system_number,autonomous_system_organization\n"
    '192.0.2.0/24,64496,"Rock, Paper"\n198.51.100.0/24,64497,3M Company\r\n203.0.113.0/24,AS64498,"64499"\n'
)


def read(tmp_path: Path, text: str | bytes) -> dict[str, frozenset[int]]:
    file = tmp_path / "as.dat"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_systems(file, ADDRESSES)


@pytest.mark.parametrize(
    ("text", "systems"),
    [
        (PYASN, [{64496}, {64497}, None, None]),
        (ROUTEVIEWS, [{64496}, {64497, 64498}, {64499, 64500}, None]),
        (GEOLITE, [{64496}, {64496}, {64497}, {64498}]),
        ("0.0.0.0/0\t1\n192.0.2.7/32\t2\n", [{2}, {1}, {1}, {1}]),
        ("192.0.2.7/32\t2\n0.0.0.0/0\t1\n\n# a comment\n", [{2}, {1}, {1}, {1}]),
    ],
)
def test_the_longest_prefix_names_the_system(tmp_path: Path, text: str, systems: list[set[int] | None]) -> None:
    found = read(tmp_path, text)
    assert [found.get(address) for address in ADDRESSES] == systems


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("192.0.2.0/24 64496", "192.0.2.0/24 64496"),
        ("192.0.2.1/24\t64496", "192.0.2.1/24 64496"),
        ("192.0.2.0/33\t64496", "192.0.2.0/33 64496"),
        ("192.0.2/24\t64496", "192.0.2/24 64496"),
        ("999.0.2.0/24\t64496", "999.0.2.0/24 64496"),
        ("010.0.2.0/24\t64496", "010.0.2.0/24 64496"),
        ("192.0.2.0/24\tCloud", "192.0.2.0/24 Cloud"),
        ("2001:db8::1/32\t1", "2001:db8::1/32 1"),
        ("network,autonomous_system_number", "network,autonomous_system_number"),
        ("\x1b[2Jx", "?[2Jx"),
        ("x" * 300, "x" * 80),
    ],
)
def test_a_line_of_another_form_is_told_with_its_number(tmp_path: Path, line: str, shown: str) -> None:
    with pytest.raises(OperatorError, match=re.escape(f"as.dat:2: {shown!r} is no prefix")):
        read(tmp_path, f"192.0.2.0/24\t64496\n{line}\n198.51.100.0/24\t64497\n")


def test_bytes_that_are_no_text_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"as\.dat:1: .*xff"):
        read(tmp_path, b"\xff\xfe\n")


def test_a_file_with_no_prefix_of_any_relay_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="has no prefix of any relay"):
        read(tmp_path, "10.0.0.0/8\t64496\n")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nowhere: No such file"):
        read_systems(tmp_path / "nowhere", ADDRESSES)


def test_a_line_without_an_end_is_refused_and_not_read() -> None:
    with pytest.raises(OperatorError, match="zero:1: ") as refused:
        read_systems(Path("/dev/zero"), ["192.0.2.1"])
    assert len(str(refused.value)) < 1000
