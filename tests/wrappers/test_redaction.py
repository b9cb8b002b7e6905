"""What is to be left out of records is, and a text that fights back is left out whole."""

import pytest

from exitpin.wrappers.redaction import WITHHELD, redactor


def test_every_match_is_left_out_of_its_line() -> None:
    clean = redactor(["(?i)^authorization: .*$", r"\btoken=\w+"])
    assert clean("GET /?token=abc\nAuthorization: Basic eA==\nHost: x") == "GET /?(redacted)\n(redacted)\nHost: x"


def test_without_patterns_a_text_stays() -> None:
    assert redactor([])("Authorization: x") == "Authorization: x"


def test_a_text_that_takes_too_long_is_withheld_whole() -> None:
    assert redactor([r"^(a|a)*$"])("a" * 60 + "b\nsecret") == WITHHELD


def test_a_bad_pattern_is_told() -> None:
    with pytest.raises(ValueError, match="redact: "):
        redactor(["("])
