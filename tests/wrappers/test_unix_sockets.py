"""Which Unix socket a name is, and whose."""

import pytest

from exitpin.wrappers.unix_sockets import UnixName


@pytest.mark.parametrize(
    ("address", "reported", "shown"),
    [
        (b"/run/x\0y", b"/run/x", "/run/x"),
        (b"/run/x", b"/run/x", "/run/x"),
        (b"@x\0", b"./@x", "./@x"),
        (b"\0x", b"@x", "@x"),
        (b"\0\xff\0", b"@\xff\0", "@\\xff\\x00"),
        (b"/run/\xff", b"/run/\xff", "/run/\\xff"),
        (b"\0", b"@", "@"),
    ],
)
def test_a_name_is_reported_whole_and_shown_to_people(address: bytes, reported: bytes, shown: str) -> None:
    name = UnixName.from_address(address)
    assert (name.reported, str(name)) == (reported, shown)
    assert UnixName.from_report(reported).reported == reported
    assert UnixName.from_report(reported).is_abstract == name.is_abstract
