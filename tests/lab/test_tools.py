"""Everyday tools, unchanged, through one exit of the lab: each gets its answer, and its target saw the exit come."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import Lab
from .running import Log, records, run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

EXIT = "exit02"
GET = r"GET /ip HTTP/1.0\r\n\r\n"

URLLIB = 'import urllib.request; print(urllib.request.urlopen("http://web.test/ip").read().decode())'
ASYNCIO = """
import asyncio

async def ask(port):
    reader, writer = await asyncio.open_connection("sink.test", port)
    own, own_port, peer, _ = (await reader.readline()).split()
    writer.close()
    return peer.decode()

async def main():
    print(*await asyncio.gather(*map(ask, range(9000, 9008))))

asyncio.run(main())
"""
MULTIPROCESSING = """
import multiprocessing, socket

def ask(port):
    with socket.create_connection(("sink.test", port)) as connection:
        return connection.makefile().readline().split()[2]

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        print(*pool.map(ask, range(9010, 9018)))
"""
PERL = r"""
use IO::Socket::INET;
my $web = IO::Socket::INET->new(PeerAddr => "web.test", PeerPort => 80) or die "$!";
print $web "GET /ip HTTP/1.0\r\n\r\n";
print while <$web>;
"""
PEER = 'import socket; print(socket.create_connection(("sink.test", 9050)).makefile().readline().split()[2])'
NODE = 'require("http").get("http://web.test/ip", answer => answer.pipe(process.stdout))'
NODE_LOOKUP = 'require("dns").lookup("web.test", (error, address) => console.log(error || address))'


@dataclass(frozen=True, slots=True)
class Case:
    """A command, what its output must hold (`{ip}`: the exit's address), and which service saw it."""

    argv: tuple[str, ...]
    output: str
    service: str = "http"
    connections: int = 1
    stdin: str = ""


CASES = {
    "curl": Case(("curl", "-sS", "http://web.test/ip"), "{ip}\n"),
    "curl-https": Case(("curl", "-sS", "--cacert", "{ca}", "https://web.test/ip"), "{ip}\n", "https"),
    "curl-ipv6": Case(("curl", "-gsS", "http://[2001:db8:1::11]/ip"), "{ip6}\n"),
    "curl-redirect": Case(("curl", "-sSL", "http://web.test/redirect"), "target of the exitpin lab"),
    "curl-parallel": Case(("curl", "-sSZ", "http://web.test/ip", "http://v4.test/ip"), "{ip}\n{ip}\n", connections=2),
    "wget": Case(("wget", "-qO-", "http://web.test/ip"), "{ip}\n"),
    "wget-https": Case(("wget", "-qO-", "--ca-certificate={ca}", "https://web.test/ip"), "{ip}\n", "https"),
    "openssl": Case(
        ("openssl", "s_client", "-CAfile", "{ca}", "-connect", "web.test:443"), "Verify return code: 0 (ok)", "https"
    ),
    "dig": Case(("dig", "+tcp", "+short", "@dns.test", "web.test"), "192.0.2.10\n", "dns"),
    "dig-resolv.conf": Case(("dig", "+tcp", "+short", "v4.test"), "192.0.2.11\n", "dns"),
    "ssh-keyscan": Case(("ssh-keyscan", "-T", "20", "-t", "ed25519", "ssh.test"), "ssh.test ssh-ed25519 AAAA", "ssh"),
    "ssh": Case(
        ("ssh", "-T", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "me@ssh.test"),
        "you come from {ip}\n", "ssh",
    ),
    "python-urllib": Case(("python3", "-c", URLLIB), "{ip}\n"),
    "python-asyncio": Case(("python3", "-c", ASYNCIO), " ".join(["{ip}"] * 8), "sink", 8),
    "python-multiprocessing": Case(("python3", "-c", MULTIPROCESSING), " ".join(["{ip}"] * 8), "sink", 8),
    "bash-dev-tcp": Case(("bash", "-c", f"exec 3<>/dev/tcp/web.test/80; printf '{GET}' >&3; cat <&3"), "{ip}\n"),
    "bash-pipeline": Case(("bash", "-c", "curl -s http://web.test/bytes/1000000 | wc -c"), "1000000\n"),
    "bash-jobs": Case(
        ("bash", "-c", "for n in 1 2 3; do curl -s http://web.test/ip & done; wait"), "{ip}\n" * 3, connections=3
    ),
    "nc": Case(("sh", "-c", f"printf '{GET}' | nc -w 20 web.test 80"), "{ip}\n"),
    "nc-ipv6": Case(("sh", "-c", f"printf '{GET}' | nc -6 -w 20 v6.test 80"), "{ip6}\n"),
    "perl": Case(("perl", "-e", PERL), "{ip}\n"),
    "node": Case(("node", "-e", NODE), "{ip}\n"),
    "stdin": Case(("nc", "-w", "20", "web.test", "80"), "{ip}\n", stdin="GET /ip HTTP/1.0\r\n\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_tool_gets_its_answer_and_its_target_sees_the_exit(lab: Lab, name: str) -> None:
    case, relay = CASES[name], lab.state.relay(EXIT)
    _needs(case.argv[0] if case.argv[0] not in ("sh", "bash") else name.partition("-")[0])
    facts = {"{ip}": relay.address, "{ip6}": relay.address6, "{ca}": str(lab.state.ca_file)}
    log = Log.of(lab.state)
    done = run(lab.state, "-e", EXIT, "--", *(_with(facts, word) for word in case.argv), input=case.stdin)
    assert done.returncode == 0, done.stderr
    assert _with(facts, case.output) in done.stdout
    seen_as = relay.address6 if "{ip6}" in case.output else relay.address
    assert log.peers("http", "https", "dns", "ssh", "sink") == [seen_as] * case.connections
    assert log.peers(case.service) == [seen_as] * case.connections


def test_git_clones_a_repository(lab: Lab, tmp_path: Path) -> None:
    _needs("git")
    log = Log.of(lab.state)
    done = run(lab.state, "-e", EXIT, "--", "git", "clone", "-q", "http://web.test/repo.git", str(tmp_path / "clone"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone" / "README").read_text() == "A file of the lab.\n"
    peers = log.peers("http")
    assert set(peers) == {lab.state.relay(EXIT).address}


def test_a_script_of_many_tools_is_one_run(lab: Lab, tmp_path: Path) -> None:
    script = tmp_path / "audit.sh"
    script.write_text(
        "#!/bin/bash\nset -e\n"
        "dig +tcp +short web.test\n"
        "curl -sS http://web.test/ip | tr . -\n"
        f"python3 -c '{PEER}'\n"
        'perl -e \'system("curl", "-sS", "http://v4.test/ip")\'\n'
    )
    script.chmod(0o755)
    address = lab.state.relay(EXIT).address
    (record,) = records(lab.state, "-e", EXIT, "--", str(script))
    assert record["failure"] is None
    assert record["process"]["stdout"].split() == ["192.0.2.10", address.replace(".", "-"), address, address]
    assert [stream["destination"].split(":")[1] for stream in record["streams"]] == ["53", "80", "9050", "80"]
    executables = {Path(process["exe"]).name.rstrip("0123456789.") for process in record["processes"]}
    assert {"bash", "dig", "curl", "tr", "python", "perl"} <= executables


def test_a_record_tells_of_every_connection(lab: Lab) -> None:
    relay = lab.state.relay(EXIT)
    (record,) = records(lab.state, "-e", EXIT, "--", "curl", "-sS", "http://web.test/ip")
    assert record["schema"] == "exitpin.run/1"
    assert (record["status"], record["exit"]["fingerprint"]) == ("ok", relay.fingerprint)
    (circuit,), (stream,) = record["circuits"], record["streams"]
    assert circuit["path"][-1] == relay.fingerprint
    assert (stream["circuit_id"], stream["status"], stream["resolved"]) == (circuit["id"], "succeeded", "192.0.2.10")
    assert stream["witnesses"] == ["source-address", "source-port", "socks-username"]
    assert stream["source_address"] == record["source_address"]
    assert record["process"]["stdout"] == f"{relay.address}\n"


@pytest.mark.parametrize("words", [("nslookup", "web.test"), ("dig", "+tries=1", "+time=2", "web.test")])
def test_a_look_up_over_udp_is_refused_by_hooks_and_said(lab: Lab, words: tuple[str, ...]) -> None:
    _needs(words[0])
    log = Log.of(lab.state)
    (record,) = records(lab.state, "-e", EXIT, "--containment", "guard", "--", *words)
    asked = [name for name in log.names() if name.startswith("web.test")]
    assert asked == [], "exits ask for other names now and then, on their own account"
    assert "udp" in {denied["reason"] for denied in record["denied"]}


def test_the_torsocks_command_passes_through(lab: Lab) -> None:
    done = run(lab.state, "-e", EXIT, "--", "torsocks", "curl", "-sS", "http://web.test/ip")
    assert (done.returncode, done.stdout) == (0, f"{lab.state.relay(EXIT).address}\n"), done.stderr


def _with(facts: dict[str, str], text: str) -> str:
    for name, value in facts.items():
        text = text.replace(name, value)
    return text


def _needs(program: str) -> None:
    known = {"python": "python3", "stdin": "nc"}
    if shutil.which(known.get(program, program)) is None:
        pytest.skip(f"no {program} here")


def test_node_and_the_c_library_resolve_to_addresses_of_the_run(lab: Lab) -> None:
    _needs("node")
    done = run(lab.state, "-e", EXIT, "--", "node", "-e", NODE_LOOKUP)
    assert done.stdout.startswith("198.18."), done.stderr
    assert run(lab.state, "-e", EXIT, "--resolve", "exit", "--", "node", "-e", NODE_LOOKUP).stdout == "192.0.2.10\n"


def test_stdin_of_the_foreground_is_binary_safe(lab: Lab) -> None:
    sent = bytes(range(256)) * 400
    # no half-closed connection here: Tor has none, it ends the stream when the tool says that it has sent all
    script = f"exec 3<>/dev/tcp/echo.test/7 4<&0; cat <&4 >&3 & head -c {len(sent)} <&3"
    done = run(lab.state, "-e", EXIT, "--", "bash", "-c", script, input=sent, text=False)
    assert (done.returncode, done.stdout) == (0, sent), done.stderr
    assert run(lab.state, "-e", EXIT, "--", "cat", stdin=subprocess.DEVNULL).stdout == ""
