"""What hostile, broken and odd exits do, seen through them with plain commands; a plain exit does none of it."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load

from .conftest import lab_or_skip
from .running import Log, nickname, run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

SEED = 5
LOOPBACK = "127.0.0.1"
NO_TARGETS = ("dns-udp", "wire", "onward")  # exits' own look-ups, and what a man in the middle writes down
CURL = ("curl", "-sS", "--max-time", "5")
IP = "http://web.test/ip"
PAGE = "http://web.test/page"
TOOL = "http://files.test/tool.bin"
DIGEST = f"curl -sS {TOOL} | sha256sum"
TRUE_DIGEST = "724e1ce56a6dee952ad5c45f983b4192b7befd097af0cb3ab73f2c7cd1182aa2"


@dataclass(frozen=True, slots=True)
class Case:
    """A command, and what its output and exit status match through the exit of that behaviour, and only there.

    `reaches`: whether the target sees a connection.
    """

    behaviour: str
    argv: Sequence[str]
    seen: str
    status: int = 0
    reaches: bool = True


CASES = (
    Case("tls-self-signed", (*CURL, "https://web.test/ip"), "self-signed certificate", 60),
    Case("tls-trusted-ca", (*CURL, "-v", "https://web.test/ip"), "issuer: CN=Honest Trust"),
    Case("tls-mitm-injects", (*CURL, "-k", "https://web.test/page"), "<script src=.http://ads"),
    Case("tls-downgrade", (*CURL, "--tlsv1.3", "https://web.test/ip"), r"curl: \(35\)", 35, reaches=False),
    Case("sslstrip", (*CURL, "-i", "http://secure.test/"), "^HTTP/1.1 200 (?s:.*)You came safely"),
    Case("sslstrip", (*CURL, PAGE), r'href="http://secure\.test/article/1"'),
    Case("injects-script", (*CURL, PAGE), '<script src="http://ads.evil.test/a.js"></script></body>'),
    Case("injects-header", (*CURL, "-i", IP), "(?m)^Via: 1.1 cache.evil.test"),
    Case("injects-cookie", (*CURL, "-i", IP), "(?m)^Set-Cookie: visitor=f00dcafe"),
    Case("hijacks-all", (*CURL, "-i", IP), r"(?m)^Location: http://evil\.test/", reaches=False),
    Case("hijacks-redirects", (*CURL, "-i", "http://secure.test/"), r"(?m)^Location: http://evil\.test/"),
    Case("block-page-403", (*CURL, "-i", IP), "403 Forbidden(?s:.*)blocked", reaches=False),
    Case("block-page-200", (*CURL, "-i", IP, IP), "(?s)200 OK.*Not available.*200 OK.*Not available", reaches=False),
    Case("patches-binaries", ("sh", "-c", DIGEST), f"^(?!{TRUE_DIGEST})[0-9a-f]{{64}}  -$"),
    Case("truncates", (*CURL, "-o", "/dev/null", TOOL), "bytes remaining to read", 18),
    Case("injects-on-one-host", (*CURL, PAGE), "<iframe"),
    Case("strips-on-one-port", ("nc", "-w", "5", "mail.test", "587"), r"^(?s:(?!.*STARTTLS).*HELP)"),
    Case("smtp-strip", ("nc", "-w", "5", "mail.test", "25"), r"^(?s:(?!.*STARTTLS).*HELP)"),
    Case("imap-strip", ("nc", "-w", "5", "mail.test", "143"), r"^(?s:(?!.*STARTTLS).*CAPABILITY)"),
    Case("dns-lies", ("bash", "-c", "head -1 <>/dev/tcp/sink.test/9000"), r"192\.0\.2\.66 9000"),
    Case("dns-lies-on-the-path", ("dig", "+tcp", "+short", "@192.0.2.53", "web.test"), r"192\.0\.2\.66"),
    Case("nxdomain-hijack", (*CURL, "-I", "http://nowhere.test/"), "HTTP/1.1 [24]"),
    Case("dns-rebinds", (*CURL, "http://public.test/ip"), r"127\.0\.0\.1", reaches=False),
    Case("dns-dead", (*CURL, IP), "could not resolve", 7, reaches=False),
    Case("resets-https", (*CURL, "https://web.test/ip"), r"curl: \(35\)", 35),
    Case("resets-http", (*CURL, IP), r"curl: \((52|56)\)", 0x34),
    Case("very-slow", (*CURL, IP), "timed out", 28),
    Case("refuses-ssh", ("nc", "-z", "ssh.test", "22"), "policy refuses", 1, reaches=False),
    Case("refuses-mail", ("nc", "-z", "mail.test", "143"), "policy refuses", 1, reaches=False),
    Case("prefers-ipv6", (*CURL, IP), "^2001:db8:e::"),
)
DIALOGUES = {"587": "EHLO x\r\nQUIT\r\n", "25": "EHLO x\r\nQUIT\r\n", "143": "a CAPABILITY\r\nb LOGOUT\r\n"}


@pytest.fixture(scope="module")
def hostile() -> Iterator[LabState]:
    """A lab of hostile exits, shuffled."""
    name = f"hostile-{os.getpid()}"
    lab_or_skip(name, None, profile="hostile", seed=SEED)
    try:
        yield load(name)
    finally:
        start.down(name)


@dataclass(slots=True)
class Plain:
    """What a plain exit has shown, by command: each is asked once."""

    lab: LabState
    shown: dict[tuple[str, ...], tuple[int, str]] = field(default_factory=dict)

    def show(self, argv: Sequence[str]) -> tuple[int, str]:
        key = tuple(argv)
        if key not in self.shown:
            self.shown[key] = through(self.lab, nickname(self.lab, "plain"), argv)
        return self.shown[key]


@pytest.fixture(scope="module")
def plain(hostile: LabState) -> Plain:
    return Plain(hostile)


def through(lab: LabState, exit_: str, argv: Sequence[str]) -> tuple[int, str]:
    """Exit status and all output of a command through one exit."""
    done = run(lab, "-e", exit_, "--", *argv, input=DIALOGUES.get(argv[-1], ""))
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.behaviour}: {case.argv[-1]}")
def test_an_exit_does_what_its_profile_declares_and_a_plain_one_does_not(
    hostile: LabState, plain: Plain, case: Case
) -> None:
    exit_, log = hostile.relay(nickname(hostile, case.behaviour)), Log.of(hostile)
    status, output = through(hostile, exit_.nickname, case.argv)
    assert (status, bool(re.search(case.seen, output))) == (case.status, True), output
    lines = [line for line in log.lines() if line["service"] not in NO_TARGETS and line["own"][0] != LOOPBACK]
    peers = [line["peer"][0] for line in lines]
    assert set(peers) == ({exit_.address6 if ":db8:e" in case.seen else exit_.address} if case.reaches else set())
    assert not re.search(case.seen, plain.show(case.argv)[1])


def test_a_man_in_the_middle_of_ssh_has_another_host_key(hostile: LabState, plain: Plain) -> None:
    argv = ("ssh-keyscan", "-t", "ed25519", "ssh.test")
    keys = []
    for behaviour in ("ssh-mitm", "plain"):
        found = re.search(r"ssh-ed25519 (\S+)", through(hostile, nickname(hostile, behaviour), argv)[1])
        assert found is not None
        keys.append(found[1])
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("behaviour", "url", "is_meddled", "expected"),
    [
        ("patches-every-third", TOOL, f"^(?!{TRUE_DIGEST})[0-9a-f]{{64}}", [False, False, True] * 2),
        ("fails-a-third", IP, r"curl: \(", [False, False, True] * 2),
        ("mitm-after-ten", "https://web.test/ip", "self-signed", [False] * 10 + [True] * 2),
    ],
)
def test_some_do_it_only_at_times(
    hostile: LabState, behaviour: str, url: str, is_meddled: str, expected: list[bool]
) -> None:
    exit_ = nickname(hostile, behaviour)
    # one curl, and a connection of its own, for each: they are counted in the order in which they are made
    script = 'for url; do { curl -sS "$url" | sha256sum; } 2>&1; echo NEXT; done'
    _, output = through(hostile, exit_, ("sh", "-c", script, "sh", *[url] * len(expected)))
    parts = output.split("NEXT\n")[: len(expected)]
    assert [bool(re.search(is_meddled, part)) for part in parts] == expected, output


@pytest.mark.parametrize("behaviour", ["injects-on-one-host", "sslstrip", "injects-header", "patches-binaries"])
def test_what_an_exit_is_not_after_passes_unchanged(hostile: LabState, plain: Plain, behaviour: str) -> None:
    argv = ("sh", "-c", "curl -sS http://v4.test/bytes/70000 http://files.test/big.html | sha256sum")
    if behaviour == "patches-binaries":
        argv = ("sh", "-c", "curl -sS http://files.test/big.html http://web.test/page | sha256sum")
    assert through(hostile, nickname(hostile, behaviour), argv) == plain.show(argv)


def test_programs_in_a_lab_trust_its_authority_without_being_told(hostile: LabState) -> None:
    argv = ("openssl", "s_client", "-connect", "web.test:443", "-servername", "web.test", "-verify_return_error")
    status, output = through(hostile, nickname(hostile, "plain"), argv)
    assert (status, "Verify return code: 0 (ok)" in output) == (0, True), output


def test_the_state_and_the_seed_tell_who_is_who(hostile: LabState) -> None:
    exits = [relay for relay in hostile.relays if relay.role == "exit"]
    assert (hostile.profile, hostile.seed) == ("hostile", SEED)
    assert {relay.kind for relay in exits} == {"honest", "broken", "hostile"}
    assert all(not relay.expect for relay in exits if relay.behaviour == "plain")
    assert hostile.relay(nickname(hostile, "tls-self-signed")).expect == {"tls-cert": ("tampered",)}
    again = start.shape_of(None, (), "hostile", SEED).cast
    assert [one.behaviour for one in again] == [relay.behaviour for relay in exits]
