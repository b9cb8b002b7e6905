"""Exit policies: against stem's as an oracle, and where a server descriptor says less than it seems to."""

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stem.exit_policy import PRIVATE_ADDRESSES, ExitPolicy

from exitpin.orchestrator.policy import parse_descriptor_policy, parse_policy, parse_rule

PORTS = [1, 22, 79, 80, 81, 443, 444, 65535]
V4 = st.sampled_from(["192.0.2.1", "192.0.2.128", "198.51.100.7", "10.1.2.3", "127.0.0.1", "0.1.2.3", "169.254.1.1"])
V6 = st.sampled_from(["2001:db8::1", "2001:db8:1::1", "2002::1"])
PORT_TEXTS = st.one_of(
    st.just("*"),
    st.sampled_from(PORTS).map(str),
    st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS)).map(lambda p: f"{min(p)}-{max(p)}"),
)
V4_HOSTS = st.one_of(
    st.just("*"),
    st.just("*4"),
    st.just("private"),
    V4,
    st.tuples(V4, st.integers(0, 32)).map(lambda p: str(ipaddress.ip_network(f"{p[0]}/{p[1]}", strict=False))),
    V4.map(lambda host: f"{host}/255.255.0.0"),
)
V6_HOSTS = st.one_of(
    st.just("*6"),
    V6.map(lambda host: f"[{host}]"),
    st.tuples(V6, st.sampled_from([0, 16, 32, 48, 128])).map(
        lambda p: "[{}]/{}".format(*str(ipaddress.ip_network(f"{p[0]}/{p[1]}", strict=False)).split("/"))
    ),
)
ACTIONS = st.sampled_from(["accept", "reject"])
RULES = st.tuples(ACTIONS, st.one_of(V4_HOSTS, V6_HOSTS), PORT_TEXTS).map(lambda r: f"{r[0]} {r[1]}:{r[2]}")
RULES6 = st.tuples(ACTIONS, V6_HOSTS, PORT_TEXTS).map(lambda r: f"{r[0]}6 {r[1]}:{r[2]}")
POLICIES = st.lists(st.one_of(RULES, RULES6), min_size=1, max_size=6)


def oracle(rules: list[str]) -> ExitPolicy:
    """stem knows `private` in a torrc only: spelled out here."""
    spelled = [
        rule.replace("private", network)
        for rule in rules
        for network in (PRIVATE_ADDRESSES if "private" in rule else ("",))
    ]
    return ExitPolicy(*spelled)


@given(POLICIES, st.one_of(V4, V6), st.sampled_from(PORTS))
def test_a_literal_is_allowed_as_stem_says(rules: list[str], host: str, port: int) -> None:
    policy = parse_policy("\n".join(rules))
    assert policy.allows(host, port) == oracle(rules).can_exit_to(host, port)
    assert policy.refuses(host, port) is not policy.allows(host, port)


@given(
    st.lists(RULES.filter(lambda rule: "6" not in rule.split(":")[0] and "*4" not in rule), max_size=6),
    st.sampled_from(PORTS),
)
def test_a_name_is_allowed_if_some_address_is_as_stem_says(rules: list[str], port: int) -> None:
    whole = [rule for rule in rules if "/0" not in rule]  # stem does not see that 0.0.0.0/0 is the whole of IPv4
    assert parse_policy("\n".join(whole)).allows("example.com", port) == oracle(whole).can_exit_to(
        port=port, strict=False
    )


@given(POLICIES, st.sampled_from(PORTS), st.one_of(V4, V6))
def test_what_is_said_of_a_name_holds_for_every_address(rules: list[str], port: int, host: str) -> None:
    policy = parse_policy("\n".join(rules))
    declared = policy.refuses("example.com", port)
    if declared is not None:
        assert policy.refuses(host, port) is declared


@pytest.mark.parametrize(
    ("rules", "port", "refused"),
    [
        ("accept *:*", 80, False),
        ("reject *:*", 80, True),
        ("accept *:443\nreject *:*", 80, True),
        ("accept *:443\nreject *:*", 443, False),
        ("reject private:*\naccept *:*", 80, None),
        ("reject 192.0.2.1:*\naccept *:*", 80, None),
        ("reject 192.0.2.1:22\naccept *:*", 80, False),
        ("accept 192.0.2.0/24:*\nreject *:*", 80, None),
        ("accept *4:*\nreject *6:*", 80, None),
        ("reject *4:*\naccept6 *6:*", 80, None),
        ("", 80, False),
    ],
)
def test_what_a_name_is_refused_for_is_known_only_if_all_addresses_are_alike(
    rules: str, port: int, refused: bool | None
) -> None:
    assert parse_policy(rules).refuses("example.com", port) is refused


@pytest.mark.parametrize(
    ("ipv6", "port", "allowed"),
    [
        ("", 80, False),
        ("accept 80,443", 80, True),
        ("accept 80,443", 443, True),
        ("accept 80,443", 81, False),
        ("accept 79-81", 80, True),
        ("accept 1-65535", 22, True),
        ("reject 25,80", 80, False),
        ("reject 25,80", 443, True),
    ],
)
def test_a_descriptors_rules_speak_of_ipv4_and_its_ipv6_policy_of_ipv6(ipv6: str, port: int, allowed: bool) -> None:
    policy = parse_descriptor_policy("accept *:*", ipv6)
    assert policy.allows("2001:db8::1", port) is allowed
    assert policy.allows("192.0.2.1", port) and policy.allows("example.com", port)
    assert parse_descriptor_policy("reject *:*", ipv6).is_reject_all() is (not ipv6)


def test_a_descriptors_policy_is_shown_as_it_was_declared() -> None:
    assert parse_descriptor_policy("accept *:80\nreject *:*").text == "accept *:80\nreject *:*"
    assert parse_descriptor_policy("reject *:*", "accept 80").text == "reject *:*\nipv6-policy accept 80"


@pytest.mark.parametrize(
    ("rule", "host", "covered"),
    [
        ("accept6 *:80", "192.0.2.1", False),
        ("accept6 *:80", "2001:db8::1", True),
        ("reject6 private:*", "10.0.0.1", False),
        ("reject6 private:*", "fe80::1", True),
        ("accept [2001:db8::]/32:80", "2001:db8:1::1", True),
        ("accept [2001:db8::1]:80", "2001:db8::2", False),
        ("accept *4:80", "2001:db8::1", False),
        ("reject private:*", "fc00::1", True),
        ("reject private:*", "127.0.0.1", True),
    ],
)
def test_a_rule_covers_what_it_names(rule: str, host: str, covered: bool) -> None:
    assert parse_rule(rule).covers(ipaddress.ip_address(host)) is covered


@pytest.mark.parametrize(
    "line",
    [
        "", "accept", "permit *:80", "accept private", "accept *:", "accept *:x", "accept *:80-", "accept *:-80",
        "accept *:443-80", "accept *:65536", "accept 192.0.2.256:80", "accept example.com:80", "accept6 192.0.2.1:80",
        "accept [::1:80:90]x:1", "accept [fe80::1%\x1b[31m]:80", "accept *:8_0", "accept *:+80", "accept *:\u0663",
        "accept *:80 *:443", "accept *: 80", "accept 0001.2.3.4:80",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        parse_rule(line)


@pytest.mark.parametrize(
    ("rule", "as_usual"),
    [
        ("accept\t*:80", "accept *:80"),
        (" reject \t 1.2.3.4:80\t", "reject 1.2.3.4:80"),
        ("accept *", "accept *:*"),
        ("reject 1.2.3.4", "reject 1.2.3.4:*"),
        ("reject 1.2.3.0/24", "reject 1.2.3.0/24:*"),
        ("reject 1.2.3.0/255.255.255.0", "reject 1.2.3.0/24:*"),
        ("reject 001.02.3.0/08:080", "reject 1.2.3.0/8:80"),
        ("reject6 [2001:db8::1]", "reject6 [2001:db8::1]:*"),
        ("reject [2001:db8::]/32", "reject [2001:db8::]/32:*"),
    ],
)
def test_a_rule_may_be_written_otherwise(rule: str, as_usual: str) -> None:
    assert parse_rule(rule) == parse_rule(as_usual)


def test_in_a_descriptor_an_address_without_ports_is_one_of_ipv4() -> None:
    policy = parse_descriptor_policy("accept\t*", "accept 80")
    assert policy.allows("192.0.2.1", 443) and policy.allows("2001:db8::1", 80)
    assert not policy.allows("2001:db8::1", 443)
    assert (
        parse_descriptor_policy("accept *:80\nreject *").rules
        == parse_descriptor_policy("accept *:80\nreject *:*").rules
    )


def test_of_an_ipv6_policy_what_tor_passes_over_is_passed_over() -> None:
    policy = parse_descriptor_policy("reject *:*", "accept x,80,*")
    assert policy.allows("2001:db8::1", 80) and not policy.allows("2001:db8::1", 81)


@pytest.mark.parametrize(
    ("rules", "is_reject_all"),
    [("reject *:*", True), ("reject 1.2.3.4:*\nreject *:*", True), ("accept *:80\nreject *:*", False), ("", False)],
)
def test_a_relay_that_rejects_all_is_no_exit(rules: str, is_reject_all: bool) -> None:
    assert parse_policy(rules).is_reject_all() is is_reject_all


@pytest.mark.parametrize(
    ("rules", "ipv6", "v4", "v6"),
    [
        ("reject *:*", "", False, False),
        ("accept *:*", "", True, False),
        ("reject *:*", "accept 443", False, True),
        ("reject *:*", "reject 25", False, True),
        ("reject *:*", "reject 1-65535", False, False),
        ("reject *:1-65535\naccept *:*", "", False, False),
        ("reject *:1-100\nreject *:101-65535\naccept *:80", "", False, False),
        ("reject *:1-100\nreject *:102-65535\naccept *:*", "", True, False),
        ("reject 10.0.0.0/8:*\naccept *:80\nreject *:*", "", True, False),
        ("reject 192.0.2.0/24:*", "", True, False),  # what nobody refuses is allowed (dir-spec)
    ],
)
def test_whether_anything_is_let_out_is_known_by_family(rules: str, ipv6: str, v4: bool, v6: bool) -> None:
    policy = parse_descriptor_policy(rules, ipv6)
    assert policy.families == {family for family, is_open in ((4, v4), (6, v6)) if is_open}
    assert policy.is_reject_all() is not (v4 or v6)
    assert policy.ipv6 == ipv6


@given(st.lists(st.one_of(RULES, RULES6), max_size=6), st.sampled_from([4, 6]))
def test_what_is_let_out_is_let_out_on_some_port(rules: list[str], family: int) -> None:
    policy = parse_policy("\n".join(rules))
    ports = {port for rule in policy.rules for port in (rule.low, rule.high, rule.low - 1, rule.high + 1)} | {1, 65535}
    some = any(_lets_out(policy, family, port) for port in ports if 0 < port < 65536)
    assert (family in policy.families) is some
    if family == 6:
        assert some is any(policy.allows_ipv6(port) for port in ports if 0 < port < 65536)


def _lets_out(policy: object, family: int, port: int) -> bool:
    """The same question of one port, asked rule by rule."""
    for rule in policy.rules:  # type: ignore[attr-defined]
        if rule.low <= port <= rule.high and family in rule.families and (rule.accept or rule.covers_all(family)):
            return bool(rule.accept)
    return True


def test_a_policy_of_a_thousand_odd_rules_is_looked_through_at_once() -> None:
    hostile = "\n".join(f"{action} *:{port}" for port in range(1, 60000, 120) for action in ("reject", "accept"))
    began = time.process_time()
    assert parse_descriptor_policy(hostile + "\nreject *:*").is_reject_all()
    assert time.process_time() - began < 0.5
