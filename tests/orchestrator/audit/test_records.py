"""The records of an audit: whole in themselves, JSON, and without what nobody may read."""

import json
from typing import Any

import pytest

from exitpin.orchestrator import events as ev
from exitpin.orchestrator.audit.cases import Attempt, Conclusion, Role
from exitpin.orchestrator.audit.controls import Control, Controls
from exitpin.orchestrator.audit.disclosure import ERROR_OUTPUT_MAX, OUTPUT_MAX, ToolUse
from exitpin.orchestrator.audit.records import compared, rule_in_words, run_record, verdict_record
from exitpin.orchestrator.audit.verdict import Judgement
from exitpin.orchestrator.model import Failure
from exitpin.orchestrator.observation import fold
from exitpin.orchestrator.outcomes import BLAMES, KINDS
from exitpin.orchestrator.results.rows import row_of
from exitpin.orchestrator.tool import Command, Condition, Extract, Facts, Param, Rule, Status, Tool

from ..lives import running
from ..values import EXIT, OTHER_EXIT, relay

SCAN = {"scan_id": "s", "vantage": {"kind": "lab", "name": "mine"}, "consensus": "2026-01-02", "events": "/e.gz"}
RULES = (
    Rule(Status.ERROR, (Condition("chain", "absent", True),), reason="no certificate"),
    Rule(Status.TAMPERED, (Condition("chain.0", "differs", True), Condition("code", "not", 0)), reason="{{chain}}"),
    Rule(Status.BROKEN, any=(Condition("exit_code", "in", ("6", "7")), Condition("timed_out", "is", True))),
    Rule(Status.OK),
)
LIE = Judgement(Status.TAMPERED, "unknown leaf", 1)
CONTROLS = Controls((Control("exit", {"chain": ("aa",), "code": 0}, 900.0, "s-0009", OTHER_EXIT),))


def tool(**changes: Any) -> Tool:
    given: dict[str, Any] = {
        "id": "tls-cert",
        "summary": "The server's own certificate?",
        "command": Command(("openssl", "s_client", "-pass", "{{password}}")),
        "verdict": RULES,
        "severity": "critical",
        "params": (Param("host"), Param("password", is_secret=True)),
        "extracts": (Extract("chain"), Extract("code")),
        "digest": "d" * 64,
        **changes,
    }
    return Tool(**given)


def use(password: str = "hunter22", clean: Any = None, **changes: Any) -> ToolUse:
    params = {"host": "example.org", "password": password}
    more = {"clean": clean} if clean else {}
    return ToolUse(tool(**changes), params, frozenset({"host", "password"}), "/usr/bin/openssl", "3.0", **more)


def folded(rc: int = 0, **changes: Any) -> dict[str, object]:
    told = running(**changes)
    told.step(ev.ProcessExited(rc, None), ev.TreeEnded(0.1, 4096, 0))
    return fold(told.life, SCAN, {"truncated": False})


def of_run(
    used: ToolUse | None = None,
    judgement: Judgement | None = LIE,
    stdout: bytes = b"",
    stderr: bytes = b"",
    facts: Facts | None = None,
    **changes: Any,
) -> dict[str, Any]:
    record = run_record(
        folded(**changes), used or use(), key="k", role="probe", stdout=stdout, stderr=stderr,
        facts={"chain": ("bb",)} if facts is None else facts, controls=CONTROLS, judgement=judgement,
    )  # fmt: skip
    json.dumps(record, allow_nan=False)
    return record


def of_verdict(conclusion: Conclusion, *attempts: Attempt, used: ToolUse | None = None) -> dict[str, Any]:
    record = verdict_record(
        conclusion, used or use(), relay(0xE1), SCAN, verdict_id="s-v1", key="k", attempts=attempts,
        controls=CONTROLS, started=1.0, ended=2.0,
    )  # fmt: skip
    json.dumps(record, allow_nan=False)
    return record


def attempt(run_id: str = "s-1", judgement: Judgement | None = LIE, failure: Failure | None = None) -> Attempt:
    return Attempt(run_id, Role.PROBE, 5.0, None, failure, judgement)


def test_a_runs_record_is_the_folded_one_and_what_the_audit_adds() -> None:
    record = of_run()
    assert (record["schema"], record["run_id"], record["key"], record["role"]) == (
        "exitpin.run/1",
        "s-0001",
        "k",
        "probe",
    )
    assert record["status"] == "tampered"
    assert record["exit"]["fingerprint"] == EXIT
    assert record["tool"]["digest"] == "d" * 64
    assert (record["tool"]["binary"], record["tool"]["version"]) == ("/usr/bin/openssl", "3.0")
    assert record["facts"] == {"chain": ["bb"]}
    (control,) = record["controls"]
    assert control == {
        "vantage": "exit", "exit": OTHER_EXIT, "run_id": "s-0009", "at": 900.0, "facts": {"chain": ["aa"]},
    }  # fmt: skip
    verdict = record["verdict"]
    assert (verdict["status"], verdict["severity"], verdict["rule"], verdict["lied"], verdict["of"]) == (
        "tampered", "critical", 1, 1, 1,
    )  # fmt: skip
    assert verdict["when"] == "chain.0 differs from what the controls agree on, and code is not 0"


def test_a_run_that_was_not_judged_keeps_its_own_status() -> None:
    record = of_run(judgement=None, rc=7)
    assert (record["status"], record["verdict"], record["failure"]["kind"]) == ("error", None, "tool")


def test_how_to_ask_again_names_tool_exit_network_and_what_was_given() -> None:
    expected = f"exitpin audit tls-cert -e {EXIT} --lab --name mine -p host=example.org -p 'password=(secret)'"
    assert of_run()["reproduce"] == of_verdict(Conclusion(Status.OK, ""))["reproduce"] == expected


def test_a_secret_stands_nowhere_in_a_record() -> None:
    argv, said = ("openssl", "-pass", "hunter22", "--also=hunter22"), "sent hunter22"
    record = of_run(stdout=said.encode(), stderr=said.encode(), facts={"chain": (said,), "code": said}, argv=argv)
    assert record["tool"]["argv"] == ["openssl", "-pass", "(secret)", "--also=(secret)"]
    assert record["tool"]["params"] == {"host": "example.org", "password": "(secret)"}
    verdict = of_verdict(Conclusion(Status.ERROR, said), attempt(judgement=Judgement(Status.ERROR, said)))
    assert verdict["reason"] == verdict["failure"]["detail"] == "sent (secret)"
    assert "hunter22" not in json.dumps([record, verdict])


def test_a_short_secret_is_hidden_where_it_was_given_and_harms_no_other_word() -> None:
    record = of_run(use("e"), argv=("openssl", "-pass", "e"), facts={"chain": ("here",)})
    assert record["tool"]["argv"][2] == "(secret)"
    assert (record["tool"]["params"]["host"], record["facts"]["chain"]) == ("example.org", ["here"])


def test_a_secret_is_hidden_as_a_fact_has_it_that_is_folded() -> None:
    used = use("Hunter:  22", extracts=(Extract("chain", fold="(?s).+"),))
    record = of_run(used, stdout=b"sent Hunter:  22", facts={"chain": ("sent hunter:22", "sent Hunter:  22")})
    assert record["facts"]["chain"] == ["sent (secret)", "sent (secret)"]


def test_what_is_to_be_redacted_is_before_anything_is_cut() -> None:
    cookie = "cookie " + "c" * 100
    used = use(clean=lambda text: text.replace(cookie, "-"), keep=(("stdout", "always"),))
    text = "x" * (OUTPUT_MAX - 10) + cookie
    record = of_run(used, stdout=text.encode(), facts={"chain": (cookie,)})
    assert record["process"]["stdout"] == "x" * (OUTPUT_MAX - 10) + "-"
    assert record["process"]["stdout_bytes"] == len(text)
    assert record["facts"] == {"chain": ["-"]}


@pytest.mark.parametrize(
    ("keep", "status", "stdout", "stderr"),
    [
        ((), Status.OK, None, None),
        ((), Status.SUSPECT, "out", "err"),
        ((), Status.BROKEN, "out", "err"),
        ((), Status.ERROR, None, "err"),
        ((("stdout", "always"),), Status.OK, "out", None),
        ((("stdout", "never"), ("stderr", "never")), Status.TAMPERED, None, None),
        ((("stderr", "never"),), Status.ERROR, None, None),
    ],
)
def test_output_stays_as_the_tool_says(keep: Any, status: Status, stdout: str | None, stderr: str | None) -> None:
    record = of_run(use(keep=keep), Judgement(status, ""), b"out", b"err")
    assert (record["process"]["stdout"], record["process"]["stderr"]) == (stdout, stderr)
    assert (record["process"]["stdout_bytes"], record["process"]["rc"]) == (3, 0)


def test_output_is_cut() -> None:
    record = of_run(stdout=b"a" * 100_000)
    assert len(record["process"]["stdout"]) == OUTPUT_MAX
    record = of_run(judgement=Judgement(Status.ERROR, ""), stderr=b"a" * 50_000 + b"the end")
    assert len(record["process"]["stderr"]) == ERROR_OUTPUT_MAX
    assert record["process"]["stderr"].endswith("the end")


def test_long_facts_are_cut_and_still_differ() -> None:
    many = tuple(str(number) for number in range(1000))
    one, other = (of_run(facts={"chain": items})["facts"]["chain"] for items in (many, (*many, "1000")))
    assert len(one) == len(other) < 300 and one[:250] == other[:250] and one[-1] != other[-1]
    large = of_run(facts={"chain": ("x" * 4096,) * 200})["facts"]["chain"]
    assert sum(map(len, large)) < 80 << 10 and large[-1].startswith("... (200 in all, sha256 ")


def test_what_is_no_number_is_told_as_text() -> None:
    assert of_run(facts={"chain": float("nan"), "code": float("inf")})["facts"] == {"chain": "nan", "code": "inf"}


def test_bytes_that_are_no_text_stay_what_they_were() -> None:
    record = of_run(stdout=b"\xff\x00\x1b[31m")
    assert record["process"]["stdout"] == "\\xff\x00\x1b[31m"
    assert json.dumps(record).isprintable()


def test_a_verdict_stands_by_itself() -> None:
    conclusion = Conclusion(Status.TAMPERED, "unknown leaf", 1, "", "exit", False, 2, 3)
    record = of_verdict(conclusion, attempt("s-1"), attempt("s-2"), attempt("s-3", Judgement(Status.OK, "", 3)))
    assert (record["status"], record["severity"], record["blame"], record["failure"]) == (
        "tampered", "critical", "exit", None,
    )  # fmt: skip
    assert (record["lied"], record["of"], record["reason"]) == (2, 3, "unknown leaf")
    assert [(run["run_id"], run["role"], run["status"]) for run in record["runs"]] == [
        ("s-1", "probe", "tampered"), ("s-2", "probe", "tampered"), ("s-3", "probe", "ok"),
    ]  # fmt: skip
    assert record["exit"]["nickname"] and record["vantage"] == SCAN["vantage"]
    assert record["evidence"] == [{"name": "events", "file": "/e.gz"}]
    row = row_of(record)
    assert (row.record_id, row.kind, row.tool, row.severity, row.started, row.ended) == (
        "s-v1", "verdict", "tls-cert", "critical", 1.0, 2.0,
    )  # fmt: skip


REFUSED = Failure("refused", "unknown", True, "refused")


@pytest.mark.parametrize(
    ("conclusion", "failures", "kind"),
    [
        (Conclusion(Status.OK, ""), [REFUSED], None),
        (Conclusion(Status.SUSPECT, "", lied=1, of=1), [REFUSED], None),
        (Conclusion(Status.BROKEN, "", blame="exit"), [REFUSED], "refused"),
        (Conclusion(Status.ERROR, "", None, "stream"), [None, REFUSED], "refused"),
        (Conclusion(Status.ERROR, "", None, "control"), [REFUSED], "control"),
        (Conclusion(Status.ERROR, "", None, "no-rule"), [None], "no-rule"),
        (Conclusion(Status.ERROR, "", None, "exitpin", "local"), [None], "attribution"),
        (Conclusion(Status.ERROR, "", None, "interrupted", "local"), [], "interrupted"),
        (Conclusion(Status.SKIPPED, "curl is not installed", None, "requirement", "local"), [], "requirement"),
        (Conclusion(Status.SKIPPED, "its policy refuses a.test:25", None, "policy", "local"), [], "policy"),
    ],
)
def test_a_verdict_without_an_answer_names_one_failure(
    conclusion: Conclusion, failures: list[Failure | None], kind: str | None
) -> None:
    record = of_verdict(conclusion, *(attempt(failure=failure) for failure in failures))
    failure = record["failure"]
    assert (failure["kind"] if failure else None) == kind
    assert failure is None or (failure["kind"] in KINDS and failure["blame"] in BLAMES)
    assert row_of(record).failure_kind == kind


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (0, "chain is absent"),
        (2, "exit_code is one of 6, 7 or timed_out is True"),
        (3, "no other rule matched"),
    ],
)
def test_a_rule_is_said_in_words(place: int, words: str) -> None:
    assert rule_in_words(RULES[place]) == words


def test_only_facts_that_are_compared_stand_beside_controls() -> None:
    assert compared(tool()) == ("chain",)
    assert compared(tool(verdict=RULES[2:])) == ("chain", "code")
