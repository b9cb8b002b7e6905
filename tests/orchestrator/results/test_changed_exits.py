"""What two snapshots say of the same exits: other policies, other flags."""

from base64 import b64encode

from exitpin.orchestrator.model import Fingerprint
from exitpin.orchestrator.results.changed_exits import LINES_MAX, Documents, ExitChange, exit_changes

from ...wrappers import test_directory
from ...wrappers.test_directory import ONE as A
from ...wrappers.test_directory import TWO as B
from ...wrappers.test_directory import spaced

C = "0123456789" * 4


def status(name: str, flags: str = "Exit Fast Running Valid", nickname: str = "nick") -> bytes:
    """An entry of a consensus, with the lines that stand beside the flags."""
    identity = b64encode(bytes.fromhex(name)).rstrip(b"=").decode()
    lines = f"""r {nickname} {identity} {"x" * 27} 2026-05-01 00:00:00 203.0.113.1 9001 0
a [2001:db8::1]:9001
s {flags}
v Tor 0.4.9.11
pr Cons=1-2
w Bandwidth=1000
p accept 80,443
"""
    return lines.encode()


def descriptor(name: Fingerprint, *policy: str) -> bytes:
    return test_directory.descriptor(name, *policy).encode()


def snapshot(*entries: bytes, descriptors: bytes = b"") -> list[Documents]:
    """One leg of a scan."""
    return [Documents(b"network-status-version 3\n" + b"".join(entries) + b"directory-footer\n", descriptors)]


def test_flags_that_came_and_went_are_told_of_exits_that_both_have() -> None:
    before = snapshot(status(A, "Exit Fast Running"), status(B), status(C, "Exit"))
    after = snapshot(status(A, "BadExit Exit Running Stable", "renamed"), status(B))
    assert exit_changes(before, after, {A, B, C}) == [
        ExitChange("flags", A, "renamed", ("Fast",), ("BadExit", "Stable"))
    ]


def test_nobody_else_is_told_of() -> None:
    before, after = (snapshot(status(A, flags), descriptors=descriptor(A, f"accept *:{port}"))
                     for flags, port in (("Exit", 80), ("Exit Fast", 443)))  # fmt: skip
    assert exit_changes(before, after, {B, "", "z" * 40}) == []


def test_a_policy_is_told_by_the_lines_that_differ() -> None:
    old = descriptor(A, "reject *:25", "accept *:*", "ipv6-policy accept 80,443") + descriptor(B, "accept *:*")
    new = descriptor(A, "reject *:25", "reject *:443", "accept *:*") + descriptor(B, "accept *:*")
    before, after = snapshot(status(A), descriptors=old), snapshot(status(A), descriptors=new)
    assert exit_changes(before, after, {A, B}) == [
        ExitChange("policy", A, "nick", ("ipv6-policy accept 80,443",), ("reject *:443",))
    ]


def test_a_policy_in_another_order_is_another_one() -> None:
    lines = ("reject *:25", "accept *:*")
    before, after = (snapshot(descriptors=descriptor(A, *one)) for one in (lines, lines[::-1]))
    assert exit_changes(before, after, {A}) == [ExitChange("policy", A, "", lines, lines[::-1])]


def test_of_several_legs_the_latest_descriptor_counts() -> None:
    first, second = descriptor(A, "accept *:80"), descriptor(A, "accept *:443")
    one, other = snapshot(descriptors=first), snapshot(descriptors=second)
    assert exit_changes([*one, *other], other, {A}) == []
    assert len(exit_changes([*one, *other], [*other, *one], {A})) == 1


def test_of_several_legs_the_last_that_asked_an_exit_tells_its_policy_and_its_flags() -> None:
    """Both changed when it had been asked, and somebody else had not."""
    before = snapshot(
        status(A, "Exit"), status(B), descriptors=descriptor(A, "accept *:*") + descriptor(B, "accept *:*")
    )
    later = snapshot(status(A, "Fast"), status(B), descriptors=descriptor(B, "accept *:*"))
    after = snapshot(
        status(A, "Fast"), status(B), descriptors=descriptor(A, "accept *:443") + descriptor(B, "accept *:*")
    )
    assert exit_changes(before, [*before, *later], {A, B}) == []
    assert [one.kind for one in exit_changes([*before, *later], after, {A, B})] == ["policy", "flags"]


def test_nobody_writes_the_policy_of_another() -> None:
    forged = f"x-note\n-----BEGIN X-----\nfingerprint {spaced(A)}\n-----END X-----"
    own_key = ("signing-key", test_directory.block("RSA PUBLIC KEY", test_directory.KEYS[B]))
    hostile = test_directory.signed(forged, f"fingerprint {spaced(B)}", *own_key, "reject *:*").encode()
    honest = descriptor(A, "accept *:*")
    before, after = snapshot(descriptors=honest), snapshot(descriptors=honest + hostile)
    assert exit_changes(before, after, {A, B}) == []


def test_a_policy_is_read_however_tor_lets_it_be_written() -> None:
    before, after = (
        snapshot(descriptors=descriptor(A, "accept *:80")),
        snapshot(descriptors=descriptor(A, "opt accept\t*:443")),
    )
    assert exit_changes(before, after, {A}) == [ExitChange("policy", A, "", ("accept *:80",), ("accept *:443",))]


def test_what_one_snapshot_does_not_tell_is_no_change() -> None:
    before = snapshot(status(A), descriptors=descriptor(A, "accept *:80"))
    assert exit_changes(before, snapshot(), {A}) == []
    assert exit_changes([Documents(b"", b"")], before, {A}) == []


def test_a_long_policy_is_cut_and_bytes_that_are_no_text_are_escaped() -> None:
    long = [f"accept 203.0.113.{number}:{'8' * 300}" for number in range(LINES_MAX + 5)]
    old = descriptor(A, "accept *:80").replace(b"*:80", b"*:80\xff")
    (change,) = exit_changes(snapshot(descriptors=old), snapshot(descriptors=descriptor(A, *long)), {A})
    assert change.lost == ("accept *:80\\xff",)
    assert len(change.gained) == LINES_MAX + 1 and change.gained[-1] == f"... ({LINES_MAX + 5} lines)"
    assert max(map(len, change.gained)) <= 120
