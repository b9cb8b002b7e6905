"""Programs that no hook steers, through `run --lab`: static ones, Go, and those that resolve by themselves.

Judged by what they print, and by what the targets saw of them."""

import errno
import json
import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exitpin.wrappers.machine import abilities

from ..shim.refusing import SYS_PIDFD_GETFD, refuse
from .conftest import Lab
from .running import EXITPIN, Log, records, run

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem),
]

PROGRAMS = Path(__file__).with_name("programs")
EXIT, ADDRESS = "exit03", "203.0.113.13"
WEB = "192.0.2.10"
RESOLVER = "192.0.2.53"
FETCH = f"""
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void)
{{
	const char *question = "GET /ip HTTP/1.0\\r\\nHost: web.test\\r\\n\\r\\n";
	struct sockaddr_in there = {{.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {{inet_addr("{WEB}")}}}};
	int fd = socket(AF_INET, SOCK_STREAM, 0), size;
	char text[4096];

	if (connect(fd, (struct sockaddr *)&there, sizeof(there)) != 0)
		return perror("connect"), 1;
	write(fd, question, strlen(question));
	while ((size = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, size, stdout);
}}
"""


def program(folder: Path, compiler: str) -> str:
    """FETCH, static; its path."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    source, target = folder / "fetch.c", str(folder / "program")
    source.write_text(FETCH)
    words = [compiler, "-static", "-w", "-o", target, str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return target if done.returncode == 0 else pytest.skip(done.stderr)


def go_program(folder: Path, source: Path) -> str:
    if shutil.which("go") is None:
        pytest.skip("no go here")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(folder / "cache"), "GOTOOLCHAIN": "local"}
    target = str(folder / "gopher")
    done = subprocess.run(
        ["go", "build", "-o", target, str(source)], env=environment, capture_output=True, text=True, check=False
    )
    return target if done.returncode == 0 else pytest.skip(done.stderr)


def rust_program(folder: Path, source: Path, *flags: str) -> str:
    if shutil.which("rustc") is None:
        pytest.skip("no rustc here")
    target = str(folder / "crab")
    words = ["rustc", "--edition", "2021", *flags, "-o", target, str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return target if done.returncode == 0 else pytest.skip(done.stderr)


def one(lab: Lab, *words: str) -> dict[str, Any]:
    """The record of one run, whose evidence holds together and all of whose streams are proven."""
    (record,) = records(lab.state, "-e", EXIT, *words)
    assert record["failure"] is None, record["failure"]
    assert {len(stream["witnesses"]) for stream in record["streams"]} <= {3}
    (evidence,) = record["evidence"]
    listed = Path(evidence["file"]).with_suffix(".records")
    listed.write_text(json.dumps(record) + "\n")
    checked = subprocess.run(
        [*EXITPIN, "results", "verify", evidence["file"], str(listed)], capture_output=True, text=True, check=False
    )
    listed.unlink()
    assert checked.returncode == 0, checked.stdout
    return record


@pytest.mark.parametrize("compiler", ["cc", "musl-gcc"])
def test_a_static_program_leaves_through_its_exit_without_a_word(lab: Lab, tmp_path: Path, compiler: str) -> None:
    log = Log.of(lab.state)
    record = one(lab, "--", program(tmp_path, compiler))
    assert record["process"]["stdout"].endswith(f"{ADDRESS}\n")
    assert record["containment"]["level"] == "notify"
    assert record["process"]["maxrss_kib"] != 0, "too small for the kernel to count, perhaps, and then null"
    assert log.peers("http") == [ADDRESS]


@pytest.mark.parametrize("level", ["shim", "guard"])
def test_a_weaker_level_that_was_asked_for_is_the_least_and_it_is_said(lab: Lab, tmp_path: Path, level: str) -> None:
    log = Log.of(lab.state)
    fetch = program(tmp_path, "cc")
    done = run(lab.state, "-e", EXIT, "--json", "--containment", level, "--", fetch)
    record = json.loads(done.stdout)
    why = f"{fetch}: it is static: the shim can't be loaded into it"
    assert record["process"]["stdout"].endswith(f"{ADDRESS}\n")
    assert (record["containment"]["level"], record["containment"]["why"]) == ("notify", why)
    assert f"exitpin: containment level is notify, and {level} was asked for: {why}\n" in done.stderr
    assert log.peers("http") == [ADDRESS]


def test_where_no_level_holds_it_a_static_program_is_refused_with_the_way_out(lab: Lab, tmp_path: Path) -> None:
    log = Log.of(lab.state)
    without = partial(refuse, SYS_PIDFD_GETFD, errno.EPERM)
    done = run(lab.state, "-e", EXIT, "--", program(tmp_path, "cc"), preexec_fn=without)
    assert done.returncode == 126 and "only the level notify pins it" in done.stderr
    assert log.peers() == []


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_static_program_deep_in_a_script_is_refused_and_told_of_at_the_end(
    lab: Lab, tmp_path: Path, words: tuple[str, ...]
) -> None:
    log = Log.of(lab.state)
    fetch = program(tmp_path, "cc")
    done = run(lab.state, "-e", EXIT, *words, "--", "sh", "-c", f"{fetch}; true")
    said = f"refused: 1 program that hooks can't steer ({fetch}): --containment notify runs such programs"
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == f"exitpin: {said}"
    assert log.peers() == []


def test_a_script_that_asks_name_servers_is_told_of_at_the_end_and_one_that_does_well_without_is_not(lab: Lab) -> None:
    """curl asks for a datagram socket, too: to see whether there is IPv6."""
    dig = run(lab.state, "-e", EXIT, "--", "sh", "-c", "dig +time=1 +tries=1 web.test; true")
    assert "exitpin: refused: UDP of dig: --containment notify answers questions to name servers\n" in dig.stderr
    curl = run(lab.state, "-e", EXIT, "--json", "--", "curl", "-sS", "http://web.test/ip")
    assert json.loads(curl.stdout)["denied_count"] > 0 and "refused" not in curl.stderr


def test_a_script_starts_static_programs_beside_those_with_hooks(lab: Lab, tmp_path: Path) -> None:
    log = Log.of(lab.state)
    script = f"{program(tmp_path, 'cc')}; curl -sS http://web.test/ip; env -i {tmp_path}/program"
    record = one(lab, "--containment", "notify", "--", "bash", "-c", script)
    assert record["process"]["stdout"].count(ADDRESS) == 3
    assert {process["hello"] for process in record["processes"]} == {True, False}
    assert log.peers("http") == [ADDRESS] * 3


def test_a_go_program_resolves_and_connects_by_itself(lab: Lab, tmp_path: Path) -> None:
    gopher = go_program(tmp_path, PROGRAMS / "gopher.go")
    log = Log.of(lab.state)
    record = one(lab, "--", gopher, "http://web.test/ip")
    assert record["process"]["stdout"] == f"{ADDRESS}\n" * 6
    assert {stream["destination"] for stream in record["streams"]} == {"web.test:80"}
    assert set(log.peers("http")) == {ADDRESS} and log.peers("dns") == []


@pytest.mark.parametrize(("mode", "answer"), [("mapped", "198.18.0.1"), ("exit", WEB)])
def test_dig_asks_as_it_always_does(lab: Lab, mode: str, answer: str) -> None:
    record = one(lab, "--resolve", mode, "--", "dig", "+short", "+tries=1", "web.test")
    assert record["process"]["stdout"] == f"{answer}\n"
    assert [stream["is_lookup"] for stream in record["streams"]] == ([True] if mode == "exit" else [])


def test_other_questions_go_to_a_public_resolver_through_the_exit(lab: Lab) -> None:
    log = Log.of(lab.state)
    record = one(lab, "--", "dig", f"@{RESOLVER}", "+tries=1", "web.test", "TXT")
    assert "status: NOERROR" in record["process"]["stdout"]
    assert [stream["destination"] for stream in record["streams"]] == [f"{RESOLVER}:53"]
    assert ADDRESS in log.peers("dns")


@pytest.mark.parametrize(
    ("mode", "address", "destinations"),
    [("mapped", "198.18.0.1", []), ("exit", WEB, ["web.test", WEB]), ("mapped", WEB, [WEB])],
)
@pytest.mark.parametrize("resolver", [RESOLVER, "127.0.0.53"])
def test_whose_an_address_is_is_known_here_or_the_exit_finds_out(
    lab: Lab, mode: str, address: str, destinations: list[str], resolver: str
) -> None:
    script = f"dig +short +tries=1 web.test; dig @{resolver} +short +tries=1 -x {address}"
    record = one(lab, "--containment", "notify", "--resolve", mode, "--", "sh", "-c", script)
    assert record["process"]["stdout"].splitlines()[1] == "web.test."
    assert [stream["destination"] for stream in record["streams"]] == destinations


def test_a_program_with_hooks_learns_whose_an_address_is_from_the_exit(lab: Lab) -> None:
    record = one(lab, "--resolve", "exit", "--", "getent", "hosts", WEB)
    assert record["process"]["stdout"].split() == [WEB, "web.test"]
    assert [(stream["destination"], stream["resolved"]) for stream in record["streams"]] == [(WEB, None)]


def test_a_private_resolver_is_asked_nothing(lab: Lab) -> None:
    record = one(lab, "--", "dig", "@192.168.1.1", "+tries=1", "web.test", "TXT")
    assert "status: SERVFAIL" in record["process"]["stdout"]
    assert record["streams"] == []
    assert record["denied"][0]["reason"] == "dns" and "192.168.1.1" in record["denied"][0]["what"]


@pytest.mark.parametrize(
    ("mode", "destinations"), [("mapped", ["dns.test:53"]), ("exit", ["dns.test", f"{RESOLVER}:53"])]
)
def test_a_resolver_may_be_named(lab: Lab, mode: str, destinations: list[str]) -> None:
    log = Log.of(lab.state)
    record = one(lab, "--resolve", mode, "--", "dig", "@dns.test", "+tries=1", "web.test", "TXT")
    assert "status: NOERROR" in record["process"]["stdout"]
    assert [stream["destination"] for stream in record["streams"]] == destinations and record["denied"] == []
    assert ADDRESS in log.peers("dns")


def test_a_mapped_address_that_stands_for_no_name_is_no_resolver(lab: Lab) -> None:
    record = one(lab, "--", "dig", "@198.18.0.77", "+tries=1", "web.test", "TXT")
    assert "status: SERVFAIL" in record["process"]["stdout"] and record["streams"] == []
    assert record["denied"][0]["reason"] == "unknown-mapped-address"


def test_a_name_that_the_exit_does_not_find_is_a_failure_and_no_denial(lab: Lab) -> None:
    (record,) = records(lab.state, "-e", EXIT, "--resolve", "exit", "--", "dig", "+tries=1", "nowhere.test")
    assert "status: SERVFAIL" in record["process"]["stdout"]


def test_node_resolves_with_its_own_library(lab: Lab) -> None:
    script = (
        'require("dns").resolve4("web.test", (error, found) =>'
        ' require("http").get({host: found[0], path: "/ip"}, reply => reply.pipe(process.stdout)))'
    )
    record = one(lab, "--containment", "notify", "--", "node", "-e", script)
    assert record["process"]["stdout"] == f"{ADDRESS}\n"


def test_a_scan_of_ports_names_those_that_the_exit_found_open(lab: Lab) -> None:
    log = Log.of(lab.state)
    patience = ("--initial-rtt-timeout", "20s", "--max-rtt-timeout", "20s", "--max-retries", "0")
    record = one(lab, "--", "nmap", "-sT", "-Pn", *patience, "-p", "80,9", "web.test")
    ports = dict(re.findall(r"^(\d+)/tcp +(\w+)", record["process"]["stdout"], re.MULTILINE))
    assert ports["80"] == "open" and ports["9"] in ("closed", "filtered")  # as the exit words its refusal
    assert {stream["destination"] for stream in record["streams"]} == {"web.test:80", "web.test:9"}
    assert set(log.peers("http")) == {ADDRESS} and log.peers("dns") == []


def test_a_rust_program_resolves_and_connects(lab: Lab, tmp_path: Path) -> None:
    log = Log.of(lab.state)
    for words in ((), ("-C", "target-feature=+crt-static")):
        record = one(lab, "--", rust_program(tmp_path, PROGRAMS / "crab.rs", *words), "web.test:80")
        assert record["process"]["stdout"] == f"{ADDRESS}\n" * 4
        assert {stream["destination"] for stream in record["streams"]} == {"web.test:80"}
    assert log.peers("http") == [ADDRESS] * 8 and log.peers("dns") == []
