"""How an audit of the lab is scored."""

from collections.abc import Mapping
from typing import Any

from exitpin.orchestrator.lab.audit_score import score_audit
from exitpin.orchestrator.lab.state import RelayState


def an_exit(name: str, expect: Mapping[str, tuple[str, ...]] | None = None) -> RelayState:
    return RelayState(name, name.upper(), "exit", "203.0.113.1", "", (), "plain", "honest", expect or {}, 1)


def a_verdict(name: str, tool: str, status: str) -> dict[str, Any]:
    return {"exit": {"fingerprint": name.upper()}, "tool": {"id": tool}, "status": status, "reason": "because"}


LIAR = an_exit("liar", {"tls-cert": ("tampered",)})
HONEST = an_exit("honest")


def test_all_as_planted_is_perfect() -> None:
    score = score_audit(
        [LIAR, HONEST], [a_verdict("liar", "tls-cert", "tampered"), a_verdict("honest", "tls-cert", "ok")]
    )
    assert score.is_perfect
    assert score.summary() == "precision 1.00 recall 1.00 (1 findings, 1 honest exits, 0 accused)"


def test_a_finding_at_an_honest_pair_is_an_accusation() -> None:
    for status in ("tampered", "suspect", "broken"):
        score = score_audit([HONEST], [a_verdict("honest", "tls-cert", status)])
        assert (score.precision, score.accused_exits) == (0.0, 1)
        assert not score.is_perfect


def test_a_liar_is_accused_wrongly_of_what_it_did_not_do() -> None:
    verdicts = [a_verdict("liar", "tls-cert", "tampered"), a_verdict("liar", "http-body", "suspect")]
    score = score_audit([LIAR], verdicts)
    assert (score.precision, score.recall) == (0.5, 1.0)


def test_what_was_planted_and_not_found_lowers_the_recall() -> None:
    for status in ("ok", "error", "skipped", "suspect"):
        score = score_audit([LIAR], [a_verdict("liar", "tls-cert", status)])
        assert score.recall == 0.0
        assert not score.is_perfect


def test_a_pair_that_may_come_out_either_way_counts_for_nothing() -> None:
    either = an_exit("either", {"http-body": ("ok", "suspect")})
    for status in ("ok", "suspect"):
        score = score_audit([either], [a_verdict("either", "http-body", status)])
        assert score.is_perfect and score.planted == 0


def test_an_error_at_an_honest_pair_is_told_though_it_accuses_nobody() -> None:
    score = score_audit([HONEST], [a_verdict("honest", "tls-cert", "error")])
    assert score.precision == 1.0
    assert len(score.errors) == 1
