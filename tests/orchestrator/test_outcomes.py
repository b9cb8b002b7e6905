"""The one table of reasons: every reason that Tor has leads to an errno, a kind, and a blame that it can bear."""

import errno

import pytest

from exitpin.orchestrator.outcomes import (
    BLAMES,
    END_NUMBERS,
    KINDS,
    end_reason_number,
    outcome,
    socks_errno,
    stream_failure,
)

REMOTE = (*END_NUMBERS, "NOTDIRECTORY", "UNKNOWN_99")
LOCAL = (*END_NUMBERS, "CANT_ATTACH", "NET_UNREACHABLE", "SOCKS_PROTOCOL", "HTTP_PROTOCOL", "PRIVATE_ADDR", "UNKNOWN_9")
# What connect(2) may say of a TCP connection that could not be made.
CONNECT_ERRNOS = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}


@pytest.mark.parametrize(
    ("reason", "remote_reason"), [*(("END", one) for one in REMOTE), *((one, None) for one in LOCAL), (None, None)]
)
def test_every_reason_means_something_that_connect_may_say(reason: str | None, remote_reason: str | None) -> None:
    found = outcome(reason, remote_reason)
    assert found.errno in CONNECT_ERRNOS
    assert found.kind in KINDS and found.blame in BLAMES and found.meaning
    failure = stream_failure(reason, remote_reason, None)
    assert failure.kind == found.kind and failure.blame in BLAMES
    assert f"REASON={reason}" in failure.detail and (remote_reason or "") in failure.detail


@pytest.mark.parametrize(
    ("reason", "remote_reason", "kind", "blame", "error"),
    [
        ("END", "EXITPOLICY", "policy", "exit", errno.ECONNREFUSED),
        ("END", "RESOLVEFAILED", "dns", "unknown", errno.EHOSTUNREACH),
        ("END", "CONNECTREFUSED", "refused", "unknown", errno.ECONNREFUSED),
        ("END", "MISC", "refused", "unknown", errno.ECONNREFUSED),
        ("END", "NOROUTE", "unreachable", "unknown", errno.EHOSTUNREACH),
        ("END", "TIMEOUT", "timeout", "unknown", errno.ETIMEDOUT),
        ("END", "CONNRESET", "reset", "unknown", errno.ECONNREFUSED),
        ("END", "DONE", "reset", "unknown", errno.ECONNREFUSED),
        ("END", "HIBERNATING", "overload", "exit", errno.ENETUNREACH),
        ("END", "RESOURCELIMIT", "overload", "exit", errno.ENETUNREACH),
        ("END", "INTERNAL", "protocol", "exit", errno.ENETUNREACH),
        ("END", "TORPROTOCOL", "protocol", "exit", errno.EHOSTUNREACH),
        ("END", "DESTROY", "circuit-lost", "circuit", errno.ENETUNREACH),
        ("TIMEOUT", None, "timeout", "unknown", errno.ETIMEDOUT),
        ("DESTROY", None, "circuit-lost", "circuit", errno.ENETUNREACH),
        ("CANT_ATTACH", None, "circuit-lost", "circuit", errno.ENETUNREACH),
        ("TORPROTOCOL", None, "dns", "exit", errno.EHOSTUNREACH),
        ("PRIVATE_ADDR", None, "policy", "local", errno.ENETUNREACH),
        ("SOCKS_PROTOCOL", None, "tor", "local", errno.ENETUNREACH),
    ],
)
def test_the_exits_words_and_our_tors_are_told_apart(
    reason: str, remote_reason: str | None, kind: str, blame: str, error: int
) -> None:
    found = outcome(reason, remote_reason)
    assert (found.kind, found.blame, found.errno) == (kind, blame, error)


@pytest.mark.parametrize(
    "remote_reason", ["RESOLVEFAILED", "CONNECTREFUSED", "MISC", "CONNRESET", "TIMEOUT", "NOROUTE"]
)
def test_one_run_alone_blames_nobody_for_a_target_that_does_not_answer(remote_reason: str) -> None:
    for is_declared in (True, False, None):
        failure = stream_failure("END", remote_reason, is_declared)
        assert failure.blame == "unknown" and failure.retryable


@pytest.mark.parametrize(("is_declared", "blame"), [(True, "local"), (False, "exit"), (None, "unknown")])
def test_a_refusal_by_policy_is_the_exits_only_if_it_was_not_declared(is_declared: bool | None, blame: str) -> None:
    failure = stream_failure("END", "EXITPOLICY", is_declared)
    assert (failure.kind, failure.blame, failure.retryable) == ("policy", blame, False)
    assert stream_failure("EXITPOLICY", None, is_declared).blame == "local", "our own Tor said it"


def test_a_close_carries_the_exits_own_reason() -> None:
    assert sorted(END_NUMBERS.values()) == list(range(1, 14))
    assert end_reason_number("RESOLVEFAILED") == 2 and end_reason_number("TIMEOUT") == 7
    assert {end_reason_number(odd) for odd in (None, "", "UNKNOWN_99", "CANT_ATTACH")} == {1}


@pytest.mark.parametrize("reply", [*range(-1, 10), 0xF0, 255])
def test_every_socks_reply_is_an_errno_of_connect(reply: int) -> None:
    assert socks_errno(reply) in CONNECT_ERRNOS
