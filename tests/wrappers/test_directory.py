"""A snapshot from Tor's texts, small enough to read: what of each relay is kept, and what odd text does."""

import base64
import hashlib

import pytest

from exitpin.orchestrator.model import Fingerprint
from exitpin.wrappers.directory import parse_snapshot


def key(number: int) -> bytes:
    """An RSA key of 1,024 bits, as tor writes it."""
    return b"\x30\x81\x89\x02\x81\x81\x00" + bytes([number]) * 128 + b"\x02\x03\x01\x00\x01"


KEYS = {Fingerprint(hashlib.sha1(key(number)).hexdigest().upper()): key(number) for number in (1, 2)}
ONE, TWO = KEYS


def block(name: str, content: bytes) -> str:
    """An object."""
    text = base64.b64encode(content).decode()
    lines = "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
    return f"-----BEGIN {name}-----\n{lines}-----END {name}-----"


def status(
    fingerprint: str, nickname: str, flags: str = "Exit Fast Running Valid", bandwidth: str = "w Bandwidth=42\n",
    digest: str = "d" * 27,
) -> str:  # fmt: skip
    """A router status entry as `GETINFO ns/all` has it."""
    identity = base64.b64encode(bytes.fromhex(fingerprint)).decode().rstrip("=")
    return (
        f"r {nickname} {identity} {digest} 2038-01-01 00:00:00 198.51.100.7 9001 0\n"
        f"a [2001:db8::7]:9001\ns {flags}\n{bandwidth}p accept 80\n"
    )


def descriptor(fingerprint: Fingerprint, *lines: str, published: str = "2026-01-02 02:00:00") -> str:
    """A server descriptor as `GETINFO desc/all-recent` has it."""
    return signed(
        f"published {published}", f"fingerprint {spaced(fingerprint)}", "signing-key",
        block("RSA PUBLIC KEY", KEYS[fingerprint]), *lines,
    )  # fmt: skip


def signed(*lines: str) -> str:
    """What stands in a descriptor, as a whole one."""
    head = "router nick 198.51.100.7 9001 0 0\nplatform Tor 0.4.9.11 on Linux"
    body = "\n".join(lines)
    return f"{head}\n{body}\nrouter-signature\n{block('SIGNATURE', bytes(128))}\n"


def spaced(fingerprint: str) -> str:
    """As a `fingerprint` line has it."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, 40, 4))


def snapshot(statuses: str, descriptors: str = ""):  # type: ignore[no-untyped-def]
    texts = [text.encode("utf-8", "surrogateescape") for text in (statuses, descriptors)]
    return parse_snapshot(*texts, "2026-01-02 03:00:00", True)


def test_a_relay_is_its_status_entry_and_what_its_descriptor_adds() -> None:
    told = descriptor(
        ONE, f"family ${TWO}~two ${ONE.lower()} other", "contact ops <ops@example.com>", "accept *:80", "reject *:*"
    )
    seen = snapshot(status(ONE, "one"), told)
    relay = seen.relays[ONE]
    assert (relay.nickname, relay.address, relay.or_port, relay.bandwidth) == ("one", "198.51.100.7", 9001, 42)
    assert relay.flags == {"Exit", "Fast", "Running", "Valid"}
    assert relay.family == {TWO, ONE, "OTHER"}
    assert relay.contact == "ops <ops@example.com>"
    assert relay.policy is not None
    assert relay.policy.allows("192.0.2.1", 80) and not relay.policy.allows("192.0.2.1", 443)
    assert (seen.valid_after, seen.distinct_subnets) == ("2026-01-02 03:00:00", True)


def test_ipv6_is_allowed_by_its_own_line_only() -> None:
    with_line = snapshot(status(ONE, "one"), descriptor(ONE, "accept *:*", "ipv6-policy accept 80,443"))
    without = snapshot(status(ONE, "one"), descriptor(ONE, "accept *:*"))
    for seen, allowed in ((with_line, True), (without, False)):
        policy = seen.relays[ONE].policy
        assert policy is not None
        assert policy.allows("2001:db8::1", 443) is allowed
        assert policy.allows("192.0.2.1", 443)


def test_relays_stand_in_the_consensus_order_and_need_no_descriptor() -> None:
    seen = snapshot("\n" + status(TWO, "two") + status(ONE, "one"), descriptor(TWO, "reject *:*"))
    assert list(seen.relays) == [TWO, ONE]
    assert seen.relays[ONE].policy is None and seen.relays[ONE].family == frozenset()
    assert seen.relays[TWO].policy is not None and seen.relays[TWO].policy.is_reject_all()


def test_a_descriptor_of_a_relay_that_is_not_in_the_consensus_is_left_out() -> None:
    assert list(snapshot(status(ONE, "one"), descriptor(TWO, "accept *:*")).relays) == [ONE]


@pytest.mark.parametrize("line", ["accept nonsense", "accept *:99999", "reject [::1]x:1"])
def test_one_odd_policy_costs_that_relay_its_policy_and_nobody_else(line: str) -> None:
    texts = descriptor(ONE, line) + descriptor(TWO, "accept *:*")
    seen = snapshot(status(ONE, "one") + status(TWO, "two"), texts)
    assert seen.relays[ONE].policy is None
    assert seen.relays[TWO].policy is not None


@pytest.mark.parametrize("contact", ["accept *:*", "fingerprint " + "C3C3 " * 10, "router x", "\udcff\udcfe"])
def test_what_a_contact_line_says_is_a_contact(contact: str) -> None:
    seen = snapshot(status(ONE, "one"), descriptor(ONE, f"contact {contact}", "reject *:*"))
    relay = seen.relays[ONE]
    assert relay.contact == contact
    assert relay.policy is not None and relay.policy.is_reject_all()


def test_a_weight_is_measured_unless_the_consensus_says_that_it_is_not() -> None:
    seen = snapshot(status(ONE, "one") + status(TWO, "two", bandwidth="w Bandwidth=7 Unmeasured=1\n"))
    assert [(relay.bandwidth, relay.is_measured) for relay in seen.relays.values()] == [(42, True), (7, False)]


def test_only_what_lets_something_out_is_kept_as_it_was_published() -> None:
    exit_, middle = descriptor(ONE, "contact \U0001f9c5", "accept *:80", "reject *:*"), descriptor(TWO, "reject *:*")
    seen = snapshot(status(ONE, "one") + status(TWO, "two"), exit_ + middle)
    assert dict(seen.descriptors) == {ONE: exit_}
    assert len(repr(seen)) < 200


@pytest.mark.parametrize(
    "entry",
    [
        "r two words", "r ../../etc AAAA BBBB 2038-01-01 00:00:00 198.51.100.7 9001 0",
        f"r one {'A' * 27} {'d' * 27} 2038-01-01 00:00:00 198.51.100.7 x 0", "r ",
    ],
)  # fmt: skip
def test_an_entry_that_is_none_of_dir_spec_ends_the_reading(entry: str) -> None:
    with pytest.raises(ValueError, match="none of dir-spec"):
        snapshot(status(ONE, "one") + entry + "\n")


def test_what_the_authorities_add_to_an_entry_is_passed_over() -> None:
    entry = status(ONE, "one").replace("w Band", "id ed25519 AAAA\npr Cons=1-2\nx new\nw Band")
    seen = snapshot(f"network-status-version 3\ncontact r x\n{entry}directory-footer\ndirectory-signature a b\n")
    assert list(seen.relays) == [ONE]
    assert seen.relays[ONE].bandwidth == 42


def test_nothing_is_a_snapshot_of_nobody() -> None:
    assert not snapshot("", "").relays


def test_a_relay_without_a_bandwidth_line_has_none() -> None:
    assert snapshot(status(ONE, "one", bandwidth="")).relays[ONE].bandwidth == 0
