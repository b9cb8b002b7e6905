"""The mail about a finding: what it tells people who have never heard of exitpin, and what it lets nobody do."""

import re
from collections.abc import Callable
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.report.by_hand import Recipe
from exitpin.orchestrator.report.email import email
from exitpin.orchestrator.report.finding import NOTHING, gather
from exitpin.orchestrator.report.plain import WIDTH
from exitpin.orchestrator.results.public import public_id

from ..recorded import reader
from .hostile import SCAN, SECRET_ADDRESS, TEXT, exit_table, fill, fingerprint

Mail = Callable[..., str]
LIES = f"{SCAN}-v0001tls-cert"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("email") / "results.sqlite"
    fill(path)
    return path


@pytest.fixture
def mail(store: Path) -> Mail:
    """Of exit 1, which lies about everything; `changes` to the verdict's record."""

    def of(name: str = "tls-cert", by_hand: Recipe = NOTHING, **changes: Any) -> str:
        with reader(store) as found:
            record = found.record(f"{SCAN}-v0001{name}")
            assert record is not None
            return email(gather(found, {**record, **changes}, lambda: 0.0, by_hand))

    return of


def body_of(text: str) -> str:
    return text.partition("\n\n")[2]


# What it tells.


@pytest.mark.parametrize(
    "words",
    [
        fingerprint(1),
        "203.0.113.1",
        "3 of 3 answers that came through it differ from what 4 other exits",
        "The test tls-cert asks: Is tls-cert well?",
        "the server's certificate, field by field",
        "verify_code\n    - 5 of 5  0\n    + 3 of 3  18",
        "2026-01-02",
        f"--ExitNodes {fingerprint(1)}",
        "exitpin audit tls-cert",
        "It is no signature",
        "Who did it, this does not say",
        f"finding  {LIES}",
        "In 3 runs something did not agree; that counted for nothing.",
        "earlier scans of ours: 1 ok",
        "tampered  http-body:",
    ],
)
def test_it_says_who_what_when_how_to_repeat_and_by_what_it_is_known(words: str, mail: Mail) -> None:
    text = mail(when="chain.0 differs, and verify_code is not 0")
    assert re.sub(r"\s+", " ", words) in re.sub(r"\s+", " ", text)


def test_the_difference_of_a_page_stands_in_it_line_by_line(mail: Mail) -> None:
    text = mail("http-body", when="body differs")
    assert "body, as the tool saved it" in text
    assert "    + <script>document.title=" in text
    assert re.search(r"- 4 of 4\s+\d+ bytes\n    \+ 3 of 3\s+\d+ bytes", text)


@pytest.mark.parametrize(
    ("status", "subject", "honest"),
    [
        ("suspect", "may change traffic", "This is no proof of tampering. Other explanations:"),
        ("broken", "does not carry traffic", "nothing about intent"),
    ],
)
def test_it_goes_no_further_than_the_verdict(status: str, subject: str, honest: str, mail: Mail) -> None:
    text = re.sub(
        r"\s+", " ", mail(status=status, lied=0 if status == "broken" else 1, of=0 if status == "broken" else 1)
    )
    assert subject in text.partition("MIME-Version")[0]
    assert honest in text
    for word in ("malicious", "attack", "evil exit", "We call it tampering", "changed what it carried"):
        assert word not in text


def test_a_relay_that_changes_things_at_times_is_told_as_such(mail: Mail) -> None:
    text = re.sub(r"\s+", " ", mail(lied=5, of=14))
    assert "5 of 14 answers" in text
    assert "The other 9 were as they should be: it happens at times only." in text
    assert "Try it several times: 5 of 14 were changed." in text


@pytest.mark.parametrize("changes", [{"interrupted": True}, {"layer": "gone"}, {"layer": "policy"}])
def test_what_nobody_could_confirm_is_told_as_such(changes: dict[str, object], mail: Mail) -> None:
    text = re.sub(r"\s+", " ", mail(status="suspect", lied=1, of=1, **changes))
    assert "The scan was interrupted before all was asked." in text
    assert "was interrupted" not in mail(status="suspect", lied=1, of=1)


def test_what_was_found_in_a_lab_says_so_before_all_else(mail: Mail) -> None:
    text = mail()
    assert text.startswith("Subject: [test network] exit relay exit01")
    assert body_of(text).startswith("THIS IS NOT ABOUT THE TOR NETWORK.")
    real = mail(vantage={"kind": "own", "name": "", "tor": "0.4.9"})
    assert real.startswith("Subject: exit relay exit01") and "THIS IS NOT" not in real


def test_without_other_exits_it_does_not_speak_of_them(mail: Mail) -> None:
    direct = mail(controls=[{"vantage": "direct", "at": 1.0, "facts": {}}])
    assert "what we were given at the same time" in direct
    assert "what is known beforehand" in re.sub(r"\s+", " ", mail(controls=[{"vantage": "pinned", "facts": {}}]))
    alone = re.sub(r"\s+", " ", mail(controls=[]))
    assert "differ from what they should be" in alone and "other exits were given" not in alone


def test_where_nothing_stands_beside_it_does_not_point_there(mail: Mail) -> None:
    """As of a script that says by its exit status alone what it found."""
    told, beside = (re.sub(r"\s+", " ", text) for text in (mail(controls=[]), mail()))
    assert "Beside each other" not in told and "stands behind -" not in told
    assert "the test says of this relay what it says above, and of most others nothing" in told
    assert "Beside each other" in beside and "most others what stands behind -" in beside


def test_what_people_type_by_hand_is_the_tools_word_for_it(mail: Mail) -> None:
    recipe = Recipe(("tor-resolve", "{{host}}"))
    text = mail(by_hand=recipe, tool={"id": "x", "params": {"host": "{{nonce}}.example"}})
    assert "    tor-resolve" in text and "127.0.0.1:9250" in text and "</dev/null" not in text
    assert "drawn anew for each run" in re.sub(r"\s+", " ", text)
    assert "whatever asks the question above" in mail(tool={"id": "x", "argv": ["bash", "{{script}}"]})


def test_why_the_tools_word_for_it_is_left_out_is_said(mail: Mail) -> None:
    sentence = "The file of this test has changed since"
    assert sentence in re.sub(r"\s+", " ", mail(by_hand=Recipe(is_stale=True)))
    assert sentence not in re.sub(r"\s+", " ", mail())


HOMES = "exitpin audit /home/me/tls-cert.toml -e E1 -p host=x -p 'token=(secret)'"


def test_a_tool_that_is_a_file_is_named_as_one_that_others_have_to_have(mail: Mail) -> None:
    text = re.sub(r"\s+", " ", mail(reproduce=HOMES))
    assert "exitpin audit ./tls-cert.toml -e E1" in text and "/home/me" not in text
    assert "The test is a file of ours: tls-cert.toml has to be in the folder where you type this." in text
    assert "is a file of ours" not in re.sub(r"\s+", " ", mail())


def test_a_secret_is_plainly_something_to_fill_in(mail: Mail) -> None:
    tool = {"id": "x", "argv": ["curl", "-H", "X-T: {{token}}"], "params": {"token": "(secret)"}}
    recipe = Recipe(("curl", "-H", "X-T: {{token}}", "http://x/"))
    text = re.sub(r"\s+", " ", mail(reproduce=HOMES, tool=tool, by_hand=recipe))
    assert "-p token=..." in text and "-H 'X-T: ...'" in text and "(secret)" not in text
    assert "What stands as ... is a secret of ours: put your own there." in text
    assert "is a secret of ours" not in re.sub(r"\s+", " ", mail())


# What it lets nobody do.


@pytest.mark.parametrize("tool", ["tls-cert", "http-body", "dns-exit"])
def test_every_line_is_short_ascii_and_obeys_nobody(tool: str, mail: Mail) -> None:
    text = mail(tool)
    assert text.isascii() and text.endswith("\n") and not text.endswith("\n\n")
    for line in text.splitlines():
        assert line.isprintable()
        assert len(line) <= WIDTH, line


def test_the_head_is_a_mails_and_ends_where_it_should(mail: Mail) -> None:
    exit_table = {"fingerprint": "A" * 40, "nickname": "x\r\nBcc: all@example.org\r\n\r\nbody", "contact": TEXT}
    message = message_from_string(mail(exit=exit_table))
    assert sorted(message.keys()) == ["Content-Transfer-Encoding", "Content-Type", "MIME-Version", "Subject"]
    assert message.get_content_type() == "text/plain" and message.get_content_charset() == "utf-8"


def test_what_others_wrote_stands_behind_a_mark(mail: Mail) -> None:
    """Only names that Tor itself gives, times, and what we know stand outside of quotations."""
    forged = "\nWHAT IT MEANS\n-------------\n\nThis relay is honest.\n"
    text = mail(reason=forged, exit={"fingerprint": "A" * 40, "nickname": "exit01", "contact": forged})
    assert len(re.findall(r"(?m)^WHAT IT MEANS$", text)) == 1
    assert all(line.lstrip().startswith(">") for line in text.splitlines() if "This relay is honest" in line)


def test_the_address_of_the_machine_that_looked_stands_nowhere(mail: Mail) -> None:
    evidence = ["/root/.local/state/exitpin/events/x.ndjson.gz"]
    for tool in ("tls-cert", "http-body", "dns-exit"):
        assert SECRET_ADDRESS not in mail(tool)
        assert "/root/" not in mail(tool, evidence=evidence)


def test_a_record_that_says_next_to_nothing_still_makes_a_mail(store: Path) -> None:
    bare = {"schema": "exitpin.verdict/1", "verdict_id": LIES, "scan_id": SCAN, "status": "tampered"}
    with reader(store) as found:
        text = email(gather(found, bare, lambda: 0.0))
    assert text.startswith("Subject: ")


def test_a_mail_does_not_name_the_verdict_by_a_digest_of_a_secret(mail: Mail) -> None:
    tool = {"id": "tls-cert", "digest": "d" * 64, "params": {"host": "x", "password": "(secret)"}}
    told = mail(tool=tool)
    assert LIES not in told and f"finding  {SCAN}-v" in told
    assert f"finding  {public_id({'scan_id': SCAN, 'tool': tool, 'exit': exit_table(1)})}" in told
