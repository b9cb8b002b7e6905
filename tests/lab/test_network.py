"""A lab as data, its names, its pages and its options: no tor, no namespace."""

import ipaddress
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import network
from exitpin.orchestrator.lab.network import build
from exitpin.wrappers import lab_dns, lab_tors
from exitpin.wrappers.lab_http import respond
from exitpin.wrappers.torrc import client_torrc

dns_message = pytest.importorskip("dns.message")
import dns.flags  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rdatatype  # noqa: E402

PLACES = (Path("/run/x/data"), Path("/run/x/control"))


def test_each_exit_has_addresses_of_its_own() -> None:
    lab = build(60)
    for choose in (lambda one: one.address, lambda one: one.address6, lambda one: one.nickname):
        assert len({choose(one) for one in lab.exits}) == 60
    assert all(ipaddress.ip_address(one.address) in ipaddress.ip_network(network.EXIT_NETWORK) for one in lab.exits)


def test_first_hops_and_exits_share_no_16() -> None:
    lab = build()
    seen = {relay.address.rsplit(".", 2)[0] for relay in (*lab.authorities, *lab.middles)}
    assert len(seen) == 7
    assert not seen & {relay.address.rsplit(".", 2)[0] for relay in lab.exits}


def test_the_last_four_exits_are_special_and_the_rest_plain() -> None:
    behaviours = [one.behaviour for one in build(16).exits]
    assert behaviours[:12] == ["plain"] * 12
    assert behaviours[12:] == ["rejects-443", "only-80", "dns-silent", "slow"]


@pytest.mark.parametrize("count", [0, 4, 201])
def test_a_lab_of_an_impossible_size_is_refused(count: int) -> None:
    with pytest.raises(OperatorError, match="exits"):
        build(count)


@pytest.mark.parametrize("host", [("www.example.org", "nothing"), ("-x.org", "web"), ("a b", "web"), ("", "web")])
def test_a_host_that_makes_no_sense_is_refused(host: tuple[str, str]) -> None:
    with pytest.raises(OperatorError):
        build(16, (host,))


def test_a_declared_host_has_the_addresses_of_its_kind() -> None:
    lab = build(16, (("WWW.Example.org.", "web"),))
    assert lab.targets[-1].name == "www.example.org"
    assert lab.targets[-1].addresses == next(one for one in lab.targets if one.kind == "web").addresses


def test_the_real_and_the_labs_client_differ_only_in_the_network() -> None:
    lab = build(16)
    who = lab_tors.Identities(
        {relay.nickname: f"{n:040X}" for n, relay in enumerate(lab.relays)},
        {one.nickname: "A" * 40 for one in lab.authorities},
    )
    real = client_torrc(PLACES[0], control_socket=PLACES[1]).splitlines()
    for frozen in (True, False):
        ours = lab_tors.client(lab, who, *PLACES, frozen=frozen).splitlines()
        only_here = {line.split()[0] for line in set(ours) - set(real)}
        only_there = {line.split()[0] for line in set(real) - set(ours)}
        allowed = {
            "DirAuthority", "AssumeReachable", "ShutdownWaitLength", "V3AuthNIntervalsValid", "ExtendByEd25519ID",
            "PathsNeededToBuildCircuits", "GeoIPFile", "GeoIPv6File",
        }  # fmt: skip
        assert {name for name in only_here if not name.startswith("Testing")} == allowed
        assert only_there == {"PathsNeededToBuildCircuits"}


@pytest.mark.parametrize(
    "line",
    [
        "SocksPort 127.0.0.1:auto NoIsolateClientAddr NoIsolateSOCKSAuth",
        "__LeaveStreamsUnattached 1",
        "__DisablePredictedCircuits 1",
        "ConfluxEnabled 0",
        "CookieAuthentication 1",
        "ControlSocket /run/x/control",
        "DataDirectory /run/x/data",
    ],
)
def test_the_client_has_what_pinning_rests_on(line: str) -> None:
    assert line in client_torrc(PLACES[0], control_socket=PLACES[1]).splitlines()


def test_a_path_with_a_space_is_quoted() -> None:
    text = client_torrc(Path('/a b/"c'), control_socket=Path("/x/control"))
    assert 'DataDirectory "/a b/\\"c"' in text


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        client_torrc(Path("/a\nSocksPort 0"), control_socket=Path("/x/control"))


def ask(name: str, kind: str) -> tuple[str, list[str]]:
    query = dns_message.make_query(name, kind)
    found = lab_dns.answer(lab_dns.zone(build(16, (("www.example.org", "web"),))), query.to_wire())
    assert found is not None
    reply = dns_message.from_wire(found[0])
    assert reply.id == query.id
    assert reply.question == query.question
    values = [record.to_text() for one in reply.answer for record in one]
    return dns.rcode.to_text(reply.rcode()), values


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "values"),
    [
        ("web.test", "A", "NOERROR", ["192.0.2.10"]),
        ("WeB.TeSt", "A", "NOERROR", ["192.0.2.10"]),
        ("web.test", "AAAA", "NOERROR", ["2001:db8:1::10"]),
        ("web.test", "MX", "NOERROR", []),
        ("v4.test", "AAAA", "NOERROR", []),
        ("v6.test", "A", "NOERROR", []),
        ("www.example.org", "A", "NOERROR", ["192.0.2.10"]),
        ("nonce-17.any.test", "A", "NOERROR", ["192.0.2.10"]),
        ("192-0-2-77.ip.test", "A", "NOERROR", ["192.0.2.77"]),
        ("10-0-0-1.ip.test", "A", "NXDOMAIN", []),
        ("exit01.test", "A", "NOERROR", ["203.0.113.11"]),
        ("10.2.0.192.in-addr.arpa", "PTR", "NOERROR", ["web.test."]),
        ("77.2.0.192.in-addr.arpa", "PTR", "NOERROR", ["192-0-2-77.ip.test."]),
        ("1.0.0.10.in-addr.arpa", "PTR", "NXDOMAIN", []),
        ("nowhere.test", "A", "NXDOMAIN", []),
        ("servfail.test", "A", "SERVFAIL", []),
    ],
)
def test_the_name_server_answers(name: str, kind: str, rcode: str, values: list[str]) -> None:
    assert ask(name, kind) == (rcode, values)


@pytest.mark.parametrize(
    "wire", [b"", b"x", b"\x00" * 11, b"\xff" * 40, dns_message.make_query("a.test", "A", id=7).to_wire()[:-1]]
)
def test_what_is_no_query_gets_no_answer(wire: bytes) -> None:
    assert lab_dns.answer(lab_dns.zone(build()), wire) is None


def test_a_reply_gets_no_answer() -> None:
    reply = dns_message.make_response(dns_message.make_query("web.test", "A"))
    assert lab_dns.answer(lab_dns.zone(build()), reply.to_wire()) is None


@pytest.mark.parametrize(
    ("path", "status", "size"),
    [("/", 200, None), ("/ip", 200, 10), ("/bytes/100", 200, 100), ("/bytes/x", 404, None), ("/status/503", 503, None),
     ("/redirect", 302, 0), ("/delay/0.1", 200, None), ("/delay/nan", 400, None), ("/delay/1e9", 400, None),
     ("/repo.git/../../etc/passwd", 404, None), ("/repo.git/HEAD", 200, 5), ("/bytes/99999999999", 400, None),
     ("/nothing", 404, None)],
)  # fmt: skip
def test_the_web_server_answers(path: str, status: int, size: int | None, tmp_path: Path) -> None:
    (tmp_path / "HEAD").write_text("ref:\n")
    response = respond(path, "192.0.2.9", tmp_path)
    assert response.status == status
    assert size is None or len(response.body) == size
