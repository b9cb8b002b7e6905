"""What an exit gave beside what controls were given: marked where it differs, and the machine's own address nowhere."""

from dataclasses import replace
from typing import Any

from exitpin.orchestrator.report.differences import (
    ABSENT,
    ONLY_HERE,
    VALUE_MAX,
    VALUES_MAX,
    FactDifference,
    Side,
    certificate_difference,
    fact_differences,
)
from exitpin.orchestrator.report.differences_told import certificate_lines
from exitpin.wrappers.certificates import Certificate

TRUE, FALSE = Certificate("aa" * 32, "CN=a", "CN=CA", "1"), Certificate("bb" * 32, "CN=a", "CN=Evil", "2")


def runs(*values: object, **more: Any) -> list[dict[str, Any]]:
    return [{"facts": {"f": value}, "vantage": "exit", **more} for value in values]


def one(here: list[dict[str, Any]], there: list[dict[str, Any]]) -> FactDifference:
    (found,) = fact_differences(here, there)
    return found


def texts(side: Side | None) -> list[tuple[str, int, bool]]:
    return [(value.text, value.count, value.is_odd) for value in side.values] if side else []


def test_an_address_that_no_control_was_given_is_marked_on_both_sides() -> None:
    found = one(runs(["192.0.2.66"], ["192.0.2.66"]), runs(["192.0.2.1"], ["192.0.2.1"], ["192.0.2.1"]))
    assert found.is_different
    assert texts(found.here) == [("192.0.2.66", 2, True)]
    assert texts(found.there) == [("192.0.2.1", 3, True)]


def test_in_a_set_only_what_was_added_or_taken_is_marked() -> None:
    found = one(runs(["a", "evil"]), runs(["a", "b"], ["a", "b"]))
    assert texts(found.here) == [("evil", 1, True), ("a", 1, False)]
    assert texts(found.there) == [("b", 2, True), ("a", 2, False)]


def test_what_one_control_of_many_says_marks_no_exit() -> None:
    found = one(runs("true"), runs(*["true"] * 19, "a lie"))
    assert not found.is_different
    assert texts(found.there) == [("true", 19, False), ("a lie", 1, False)]


def test_a_lie_that_a_control_tells_too_is_marked() -> None:
    assert one(runs("a lie"), runs(*["true"] * 19, "a lie")).is_different


def test_one_of_several_true_values_is_not_different() -> None:
    found = one(runs("old"), runs("old", "old", "new", "new", "new"))
    assert not found.is_different
    assert one(runs("other"), runs("old", "old", "new", "new", "new")).is_different


def test_where_every_control_was_given_another_value_nothing_is_marked() -> None:
    found = one(runs("x"), runs("a", "b", "c"))
    assert not found.is_agreed and not found.is_different


def test_a_single_control_is_all_there_is_to_compare_with() -> None:
    assert one(runs("x"), runs("a")).is_different


def test_what_is_not_there_is_a_value() -> None:
    found = one(runs(None), runs(["a"], ["a"]))
    assert found.is_different and found.here.values[0].is_absent and found.here.values[0].text == ABSENT


def test_a_fact_that_no_control_was_asked_for_stands_alone() -> None:
    found = one(runs("x"), [])
    assert found.there is None and not found.is_different


def test_facts_that_differ_come_first() -> None:
    here = [{"facts": {"a": 1, "b": 2, "c": 3}}]
    there = [{"facts": {"a": 1, "b": 9}}, {"facts": {"a": 1, "b": 9}}]
    assert [found.name for found in fact_differences(here, there)] == ["b", "a", "c"]


def test_long_values_and_many_are_cut() -> None:
    found = one(runs([f"{n:02d}" for n in range(50)]), runs(["y" * 9999], ["y" * 9999]))
    assert len(found.here.values) == VALUES_MAX and found.here.left_out == 50 - VALUES_MAX
    assert found.there is not None and len(found.there.values[0].text) < VALUE_MAX + 50


def test_facts_of_any_kind_can_be_compared() -> None:
    values = [True, 1.5, {"a": [1]}, [], [None, {"b": 1}], "\ud800", "</script>"]
    for value in values:
        assert fact_differences(runs(value), runs("x", "x"))


def test_the_address_of_the_machine_that_looked_is_left_out() -> None:
    here, there = runs("203.0.113.5", "203.0.113.5"), runs("203.0.113.6", "203.0.113.7")
    for own in ("198.51.100.9", ["198.51.100.9"], "ip=198.51.100.9", "[2001:db8::9]:443", "seen from 2001:db8::9."):
        found = one(here, [*there, *runs(own, vantage="direct")])
        shown = [text for side in (found.here, found.there) for text, _, _ in texts(side)]
        assert ONLY_HERE in shown
        assert not any("198.51.100.9" in text or "2001:db8" in text for text in shown)


def test_an_address_that_others_were_given_too_is_shown_of_a_direct_control() -> None:
    found = one(runs(["192.0.2.66"]), runs(["192.0.2.1"], vantage="exit") + runs(["192.0.2.1"], vantage="direct"))
    assert ("192.0.2.1", 2, True) in texts(found.there)


def test_certificates_are_compared_field_by_field() -> None:
    found = certificate_difference([(FALSE,), (FALSE,)], [(TRUE,), (TRUE,), ()])
    assert found is not None
    assert [field.name for field in found.fields if field.is_different] == ["issuer", "serial", "SHA-256"]
    assert (found.here_count, found.here_of, found.there_count, found.there_of) == (2, 2, 2, 2)


def test_two_keys_of_a_kind_are_not_called_one_key() -> None:
    kind = {"key": "RSA, 2048 bits", "signature": "sha256WithRSAEncryption"}
    found = certificate_difference([(replace(FALSE, **kind),)], [(replace(TRUE, **kind),)])
    assert found is not None
    assert "the same in both: subject, kind of key, signature algorithm" in [
        one.text for one in certificate_lines(found)
    ]


def test_of_several_certificates_the_one_that_no_control_has_is_shown() -> None:
    found = certificate_difference([(TRUE,), (TRUE,), (FALSE,)], [(TRUE,)])
    assert found is not None
    assert (found.here_count, found.here_of) == (1, 3)
    assert found.others == ("2 of 3 runs: CN=a, by CN=CA (SHA-256 aaaaaaaaaaaaaaaa)",)


def test_without_a_control_s_certificate_there_is_nothing_to_differ_from() -> None:
    found = certificate_difference([(FALSE,)], [(), ()])
    assert found is not None and found.there_of == 0 and certificate_difference([()], [(TRUE,)]) is None
