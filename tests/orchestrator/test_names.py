"""Mapped names: one address a name for a whole run, back again to the very name, and nothing for anybody else."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.names import (
    CAPACITY,
    MAPPED_V4,
    MAPPED_V6,
    Names,
    canonical_address,
    canonical_target,
    is_mapped,
)

NAMES = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,20}[a-zA-Z0-9])?\.?", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.sampled_from([0, 4, 6])), max_size=30))
def test_every_name_comes_back_from_its_address(asked: list[tuple[str, int]]) -> None:
    names, seen = Names(), {}
    for name, family in asked:
        (address,) = names.mapped(name, family)
        assert ipaddress.ip_address(address).version == (6 if family == 6 else 4)
        assert is_mapped(address)
        assert names.original(address) == name.lower().rstrip(".")
        assert seen.setdefault(address, name.lower().rstrip(".")) == name.lower().rstrip(".")
    assert all(names.original(address) == name for address, name in seen.items()), "for the whole run"


def test_a_name_has_one_number_in_both_families_whatever_its_case() -> None:
    names = Names()
    assert names.mapped("Example.COM.", 0) == names.mapped("example.com", 4) == ("198.18.0.1",)
    assert names.mapped("EXAMPLE.com", 6) == ("fd65:7869:7470:696e::1",)
    assert names.mapped("example.org", 4) == ("198.18.0.2",)


@pytest.mark.parametrize(
    "address",
    ["198.18.0.0", "198.18.0.2", "198.19.255.255", "198.17.255.255", "198.20.0.1", "127.0.0.1", "::1",
     "fd65:7869:7470:696e::", "fd65:7869:7470:696e::2", "fd65:7869:7470:696f::1"],
)  # fmt: skip
def test_an_address_that_nobody_was_given_has_no_name(address: str) -> None:
    names = Names()
    names.mapped("example.com", 4)
    assert names.original(address) is None


@pytest.mark.parametrize(
    ("address", "mapped"),
    [("198.18.0.0", True), ("198.19.255.255", True), ("198.20.0.0", False), ("198.17.255.255", False),
     ("fd65:7869:7470:696e::5", True), ("fd65:7869:7470:696f::", False), ("192.0.2.1", False)],
)  # fmt: skip
def test_the_ranges_of_mapped_names_end_where_they_end(address: str, mapped: bool) -> None:
    assert is_mapped(address) is mapped


def test_a_full_run_gives_no_address_rather_than_one_outside() -> None:
    names = Names()
    for number in range(CAPACITY):
        names.mapped(f"n{number}", 4)
    last = ipaddress.ip_address(names.mapped(f"n{CAPACITY - 1}", 4)[0])
    assert last in MAPPED_V4 and last != MAPPED_V4.broadcast_address
    assert names.mapped("one.more", 4) == ()
    assert names.mapped("one.more", 6) == ()
    assert ipaddress.ip_address(names.mapped("n0", 6)[0]) in MAPPED_V6


@pytest.mark.parametrize(
    ("one", "other"),
    [("::0.1.0.0", "::1:0"), ("2001:DB8::1", "2001:db8:0:0:0:0:0:1"), ("::ffff:192.0.2.1", "::ffff:c000:201"),
     ("fe80::1%eth0", "FE80:0::1%eth0")],
)  # fmt: skip
def test_an_address_is_one_however_it_is_written(one: str, other: str) -> None:
    assert canonical_address(one) == canonical_address(other)
    assert canonical_target(f"[{one}]:443") == canonical_target(f"[{other}]:443")


@pytest.mark.parametrize(
    ("one", "other"),
    [("::1:0", "::1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1%eth1"), ("fe80::1%eth0", "fe80::1"),
     ("web.test", "WEB.test"), ("192.0.2.1", "192.0.2.01"), ("[::1]", "::1"), ("", "::")],
)  # fmt: skip
def test_what_is_not_the_same_address_stays_another(one: str, other: str) -> None:
    assert canonical_address(one) != canonical_address(other)
    assert canonical_target(f"{one}:80") != canonical_target(f"{other}:80")
    assert canonical_target(f"{one}:80") != canonical_target(f"{one}:81")
