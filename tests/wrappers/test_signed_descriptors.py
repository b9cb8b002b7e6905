"""Whose a descriptor is: the relay's that has signed it, whatever it writes in it."""

import base64
import hashlib

import pytest

from exitpin.orchestrator.model import Snapshot
from exitpin.wrappers.descriptors import descriptors

from .test_directory import KEYS, ONE, TWO, block, descriptor, signed, snapshot, spaced, status

VICTIM = descriptor(TWO, "contact honest", "accept *:*")
VICTIMS_KEY = block("RSA PUBLIC KEY", KEYS[TWO]).splitlines()
BOTH = status(ONE, "one") + status(TWO, "two")
OWN_KEY = ("signing-key", block("RSA PUBLIC KEY", KEYS[ONE]))
OF_A_KEY = base64.b64encode(KEYS[ONE]).decode()


def hidden(*lines: str, name: str = "X") -> tuple[str, ...]:
    """Lines in an object under a keyword that tor does not know: it reads no further than the `=`."""
    body = f"{OF_A_KEY}\n" if name.startswith("RSA") else "AAA=\n"
    return ("x-note", f"-----BEGIN {name}-----\n{body}" + "\n".join(lines) + f"\n-----END {name}-----")


def assert_that_the_victim_is_as_it_is(seen: Snapshot) -> None:
    relay = seen.relays[TWO]
    assert relay.contact == "honest"
    assert relay.policy is not None and relay.policy.text == "accept *:*"
    assert seen.descriptors[TWO] == VICTIM


@pytest.mark.parametrize(
    "lines",
    [
        (*hidden(f"fingerprint {spaced(TWO)}"), *OWN_KEY),
        (*hidden(f"router two 0.0.0.0 0 0 0\nfingerprint {spaced(TWO)}", "contact forged", "reject *:*"), *OWN_KEY),
        (*hidden("signing-key", *VICTIMS_KEY[:-1], name="RSA PUBLIC KEY"), *OWN_KEY),
        (*hidden("\t signing-key", " \t" + VICTIMS_KEY[0], *VICTIMS_KEY[1:-1], name="RSA PUBLIC KEY"), *OWN_KEY),
        (*hidden(""), VICTIMS_KEY[0], *OWN_KEY),
        (f"fingerprint {spaced(TWO)}", *OWN_KEY),
        ("contact forged", f"opt fingerprint {spaced(TWO)}", *OWN_KEY),
    ],
    ids=["fingerprint", "router", "key", "blanks", "no object", "line", "opt"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_descriptor_passes_for_no_other_relays(lines: tuple[str, ...], is_first: bool) -> None:
    evil = signed(*lines, "contact evil" if "contact forged" not in lines else "x", "accept *:80", "reject *:*")
    seen = snapshot(BOTH, evil + VICTIM if is_first else VICTIM + evil)
    assert_that_the_victim_is_as_it_is(seen)
    own = seen.relays[ONE].policy
    assert own is not None and own.text == "accept *:80\nreject *:*"


def test_what_stands_in_an_object_is_none_of_the_relays_lines() -> None:
    lines = ("contact forged", "family $" + TWO, "accept *:*", "ipv6-policy accept 1-65535")
    seen = snapshot(BOTH, descriptor(ONE, *hidden(*lines), "contact own", "accept *:80", "reject *:*") + VICTIM)
    relay = seen.relays[ONE]
    assert (relay.contact, relay.family) == ("own", frozenset())
    assert relay.policy is not None and relay.policy.text == "accept *:80\nreject *:*"


def test_behind_an_object_its_like_is_a_line_and_hides_nothing() -> None:
    lines = [
        *hidden("a"),
        "\n# comment",
        "-----BEGIN Y-----",
        "contact own",
        "accept *:80",
        "reject *:*",
        "-----END Y-----",
    ]
    assert snapshot(BOTH, descriptor(ONE, *lines)).relays[ONE].contact == "own"


def test_an_object_ends_where_tor_sees_its_end_within_a_line() -> None:
    lines = ("x-note\n-----BEGIN X-----\nAAA=# -----END X-----", "contact own", "accept *:80", "reject *:*")
    assert snapshot(BOTH, descriptor(ONE, *lines)).relays[ONE].contact == "own"


def test_a_descriptor_ends_at_its_signature() -> None:
    seen = snapshot(BOTH, descriptor(ONE, "contact own", "reject *:*") + "contact forged\naccept *:*\n" + VICTIM)
    assert_that_the_victim_is_as_it_is(seen)
    relay = seen.relays[ONE]
    assert relay.contact == "own"
    assert relay.policy is not None and relay.policy.text == "reject *:*"


def test_one_that_ends_nowhere_is_none() -> None:
    assert descriptors(descriptor(ONE, "accept *:*").encode().partition(b"router-signature")[0], dict) == {}


@pytest.mark.parametrize(
    "head",
    [
        OWN_KEY,
        ("opt signing-key", OWN_KEY[1]),
        ("\t signing-key \t", "", "# comment", " \t" + OWN_KEY[1]),
        ("signing-key ", OWN_KEY[1].replace("\n", " \r\n\t")),
        ("signing-key", block("RSA PUBLIC KEY", KEYS[ONE] + b"more")),
    ],
    ids=["plain", "opt", "blanks", "blanks in the object", "more than the key"],
)
def test_whose_it_is_needs_no_line_that_says_so(head: tuple[str, ...]) -> None:
    assert list(descriptors(signed(*head, "accept *:*").encode(), dict)) == [ONE]


@pytest.mark.parametrize(
    "key", ["", "A", "MA==", "MIE=", "\udcff"], ids=["empty", "cut", "short", "no length", "no ASCII"]
)
def test_what_is_no_key_is_nobodys(key: str) -> None:
    text = signed("signing-key", f"-----BEGIN RSA PUBLIC KEY-----\n{key}\n-----END RSA PUBLIC KEY-----", "accept *:*")
    found = descriptors(text.encode("utf-8", "surrogateescape") + VICTIM.encode(), dict)
    assert set(found) & set(KEYS) == {TWO}


OLD = descriptor(ONE, "contact old", "accept *:80", "reject *:*", published="2026-01-01 00:00:00")
NEW = descriptor(ONE, "contact new", "accept *:*", published="2026-01-01 18:00:00")


def digest(text: str) -> str:
    part = text[: text.index("router-signature\n") + len("router-signature\n")]
    return base64.b64encode(hashlib.sha1(part.encode()).digest()).decode().rstrip("=")


@pytest.mark.parametrize("texts", [OLD + NEW, NEW + OLD], ids=["the newest last", "the newest first"])
@pytest.mark.parametrize(("named", "contact"), [("", "new"), (digest(OLD), "old"), (digest(NEW), "new")])
def test_of_two_of_one_relay_that_of_the_consensus_is_taken_or_the_newest(texts: str, named: str, contact: str) -> None:
    seen = snapshot(status(ONE, "one", digest=named or "d" * 27), texts)
    assert seen.relays[ONE].contact == contact
    assert seen.descriptors[ONE] == (OLD if contact == "old" else NEW)
