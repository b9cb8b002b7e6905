"""Server descriptors: what is read of them, and what hostile ones come to."""

import base64

import pytest

from exitpin.orchestrator.model import Fingerprint
from exitpin.wrappers.descriptors import Described, Texts, descriptors

from .test_directory import ONE, TWO, descriptor

CERTIFICATE = """family-cert
-----BEGIN FAMILY CERT-----
AQwAB5+MAVI4HHT3BimIUd/ooByFM/n6KnTKRYIwfIA+AlrAAYD/AQAgBADg4zlq
PuymW0h+lFChVw685/U047dSmYGbrqIXBDFh9AXCr4iBIQ2J/mrMctYWhXwC1c/F
33PEkF3GtMZdllvla+rvLKbZ8yYMGsGImxV69Q8RjJjI6eKV5o8FKBbfFwU=
-----END FAMILY CERT-----"""
"""Made by tor 0.4.9.11, of the family that `tor --keygen-family` had named so:"""
FAMILY = "ed25519:4OM5aj7spltIfpRQoVcOvOf1NOO3UpmBm66iFwQxYfQ"


def described(*lines: str) -> Described:
    return descriptors(descriptor(ONE, *lines).encode("utf-8", "surrogateescape"), dict)[ONE]


def certificate(raw: bytes) -> str:
    return f"family-cert\n-----BEGIN FAMILY CERT-----\n{base64.b64encode(raw).decode()}\n-----END FAMILY CERT-----"


def test_the_key_of_a_family_is_read_from_its_certificate() -> None:
    assert described(CERTIFICATE, "reject *:*").family_ids == {FAMILY}
    assert described("reject *:*").family_ids == frozenset()


RAW = base64.b64decode("".join(CERTIFICATE.splitlines()[2:-1]))


@pytest.mark.parametrize(
    "raw",
    [b"", RAW[:60], b"\x02" + RAW[1:], RAW[:1] + b"\x04" + RAW[2:], RAW[:39] + b"\xff" + RAW[40:100], RAW[:39] + b"\0"],
    ids=["empty", "cut", "version", "type", "extensions", "none"],
)
def test_what_is_no_certificate_of_a_family_names_none(raw: bytes) -> None:
    assert described(certificate(raw), "reject *:*").family_ids == frozenset()


def test_an_extension_that_is_not_known_is_passed_over() -> None:
    other = RAW[:39] + b"\x02" + b"\0\x03\x63\0abc" + RAW[40:]
    assert described(certificate(other), "reject *:*").family_ids == {FAMILY}


def test_several_families_are_several_keys() -> None:
    other = certificate(RAW.replace(RAW[44:76], bytes(32)))
    assert described(CERTIFICATE, other).family_ids == {FAMILY, "ed25519:" + "A" * 43}


def test_a_descriptor_without_any_rule_has_no_policy() -> None:
    assert described("contact x").policy is None


@pytest.mark.parametrize(
    "lines",
    [
        ("accept\t*:80", "reject\t*:*"),
        ("accept *:80", "reject\t*:*"),
        (" accept *:80", "\t reject *:*"),
        ("opt accept *:80", "reject *:*"),
        ("opt\taccept  *:80 ", "opt reject *:*"),
        ("reject *:25", "opt accept *:80", "reject *:*"),
        ("reject 1.2.3.4", "accept *:80", "reject *:*"),
        ("reject 01.2.3.4:*", "accept *:80", "reject *:*"),
        ("accept *:80", "reject *"),
        ("accept *:80 # web", "", "# accept *:443", "reject *:*\t#accept"),
        ("accept6 [2001:db8::1]:443", "accept *:80", "reject *:*"),
        ("reject6 [2001:db8::1]:*",),
    ],
)
def test_a_policy_is_read_however_it_is_written(lines: tuple[str, ...]) -> None:
    one = described(*lines)
    assert one.policy is not None
    assert one.policy.allows("192.0.2.1", 80) and not one.policy.allows("2001:db8::1", 80)
    assert one.policy.allows("192.0.2.1", 443) is lines[-1].startswith("reject6")
    assert one.text


@pytest.mark.parametrize("line", ["ipv6-policy\taccept 80", " ipv6-policy  accept 80", "opt ipv6-policy accept 80,*"])
def test_an_ipv6_policy_is_read_however_it_is_written(line: str) -> None:
    one = described("reject *:*", line)
    assert one.policy is not None and one.policy.allows("2001:db8::1", 80)
    assert one.text


@pytest.mark.parametrize("blank", ["\t", "  ", " \t "])
def test_a_contact_and_a_family_are_read_however_they_are_written(blank: str) -> None:
    one = described(f"opt{blank}contact{blank}ops # 1", f"{blank}family{blank}${ONE}{blank}${TWO}", "reject *:*")
    assert (one.contact, one.family) == ("ops # 1", {ONE, TWO})


def test_what_can_not_be_read_is_kept_as_it_was_published() -> None:
    one = described("accept nonsense")
    assert one.policy is None and one.text


def test_each_of_several_is_read_and_only_what_lets_out_is_kept() -> None:
    text = descriptor(ONE, "accept *:80", "reject *:*") + descriptor(TWO, "family $" + ONE, "reject *:*")
    found = descriptors(b"@downloaded-at 2026\n" + text.encode(), dict)
    assert list(found) == [ONE, TWO]
    assert found[ONE].text.decode() == descriptor(ONE, "accept *:80", "reject *:*")
    assert (found[TWO].text, found[TWO].family) == (b"", {ONE})


@pytest.mark.parametrize("text", [b"", b"router", b"nonsense", b"router x\n" * 1000, b"\nrouter \nfingerprint 1\n"])
def test_what_is_no_descriptor_is_none(text: bytes) -> None:
    assert descriptors(text, dict) == {}


def test_texts_are_read_as_they_were_sent() -> None:
    texts = Texts()
    texts.add(Fingerprint(ONE), b"contact \xff \xf0\x9f\xa7\x85")
    assert texts[ONE].encode("utf-8", "surrogateescape") == b"contact \xff \xf0\x9f\xa7\x85"
    assert (list(texts), len(texts), texts.get(TWO, "")) == ([ONE], 1, "")
