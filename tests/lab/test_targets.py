"""The lab's small internet: real clients inside the lab get from each target what it is there for."""

import re

import pytest

from . import running
from .conftest import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


def curl(lab: Lab, *words: str) -> str:
    """What curl prints; it trusts the lab's authority and no other."""
    done = lab.exec(["curl", "-qsS", "--max-time", "20", "--cacert", str(lab.state.ca_file), *words])
    return str(done.stdout + done.stderr)


def s_client(lab: Lab, *words: str) -> str:
    """What `openssl s_client` prints."""
    done = lab.exec(["openssl", "s_client", "-CAfile", str(lab.state.ca_file), *words], input="")
    return str(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://web.test/page", "200 text/html; charset=utf-8 "),
        ("https://web.test/headers", "200 text/html; charset=utf-8 "),
        ("http://public.test/", "200 text/html "),
        ("http://secure.test/a", "301 text/plain https://secure.test/a"),
        ("https://secure.test/a", "200 text/html; charset=utf-8 "),
        ("http://files.test/tool.bin", "200 application/octet-stream "),
        ("http://files.test/big.html", "200 text/html; charset=utf-8 "),
        ("http://changing.test/ads", "200 text/html; charset=utf-8 "),
        ("https://rotating.test/", "200 text/html "),
        ("http://ads.evil.test/regex", "404 text/plain "),
        ("http://evil.test/regex", "200 text/html; charset=utf-8 "),
        ("https://nonce-3.any.test/", "200 text/html "),
    ],
)
def test_a_site_answers(lab: Lab, url: str, answer: str) -> None:
    form = "%{http_code} %{content_type} %{redirect_url}"
    assert curl(lab, "-o", "/dev/null", "-w", form, url) == answer


def test_a_declared_host_answers_as_its_kind(lab: Lab) -> None:
    assert "exitpin lab" in curl(lab, "https://www.example.org/")


@pytest.mark.parametrize(("protocol", "port"), [("smtp", 25), ("smtp", 587), ("imap", 143)])
def test_mail_begins_tls_and_is_logged(lab: Lab, protocol: str, port: int) -> None:
    words = ["-starttls", protocol, "-connect", f"mail.test:{port}", "-verify_hostname", "mail.test"]
    assert "Verify return code: 0 (ok)" in s_client(lab, *words)
    assert any(one.service == protocol and one.own[1] == port for one in lab.connections())


def test_both_certificates_of_a_rotating_site_are_valid(lab: Lab) -> None:
    seen = set()
    for _ in range(40):
        text = s_client(lab, "-connect", "rotating.test:443", "-servername", "rotating.test")
        assert "Verify return code: 0 (ok)" in text
        seen.add(text.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0])
        if len(seen) == 2:
            return
    raise AssertionError("40 connections, and only one certificate")


def test_a_chain_of_200_arrives_through_an_exit(lab: Lab) -> None:
    words = ["-connect", "long-chain.test:443", "-servername", "long-chain.test", "-showcerts"]
    done = running.run(lab.state, "-e", "exit01", "--", "openssl", "s_client", *words)
    assert done.stdout.count("-----BEGIN CERTIFICATE-----") == 200


@pytest.mark.parametrize(
    ("name", "status", "values"),
    [
        ("public.test", "NOERROR", ["192.0.2.10"]),
        ("a.nx.test", "NXDOMAIN", []),
        ("nx.test", "NXDOMAIN", []),
        ("x.y.any.test", "NOERROR", ["192.0.2.10"]),
        ("ads.evil.test", "NOERROR", ["192.0.2.68"]),
    ],
)
def test_names_resolve_as_declared(lab: Lab, name: str, status: str, values: list[str]) -> None:
    text = lab.exec(["dig", "+tcp", "@dns.test", name, "A"]).stdout
    assert re.findall(r"status: (\w+)", text) == [status]
    assert re.findall(r"(?m)\sIN\s+A\s+(\S+)$", text) == values
