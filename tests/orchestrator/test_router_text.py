"""Descriptors are taken apart as tor does it: held against its tokenizer, written down plainly."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from exitpin.orchestrator.router_text import parts, places

Token = tuple[str, str, str]
"""Keyword, the words behind it, the body of its object."""

LINES = st.sampled_from(
    [
        "signing-key", " \tsigning-key", "opt signing-key", "opt\t  signing-key ", "family-cert", "contact a  b # c",
        "\tcontact\tx", "opt contact y", "opt", "opt ", "opt opt contact z", "", " ", "\t", "# comment",
        " # -----BEGIN X-----",
        "-----BEGIN X-----", " -----BEGIN X-----", "\r-----BEGIN Y-----\r", "opt -----BEGIN X-----", "AAAA", "AAAA=",
        "-----END X-----", "#-----END X-----", "AA-----END X-----", "-----END", "--", "accept *:80", "x-note",
        "opt\tx-note\t",
    ]
)  # fmt: skip


def tokens(text: str) -> list[Token] | None:
    """As `get_next_token` of tor reads them; None: an object has no end, which tor takes from nobody."""
    found = []
    while text := _without_whitespace(text):
        line, _, text = text.partition("\n")
        keyword, _, rest = line.replace("\t", " ").replace("\r", " ").partition(" ")
        if keyword == "opt":
            keyword, _, rest = rest.strip(" ").partition(" ")
        body = ""
        text = _without_whitespace(text)
        if text.startswith("-----BEGIN "):
            body, end, text = text.partition("\n")[2].partition("-----END ")
            if not end:
                return None
            text = text.partition("\n")[2]
        found.append((keyword, " ".join(rest.split()), body))
    return found


def _without_whitespace(text: str) -> str:
    return re.sub(r"\A(?:[ \t\r\n]|#[^\n]*\n)*", "", text)


@given(st.lists(LINES, max_size=30).map(lambda lines: "\n".join(["router x", *lines, "end\n"])))
@example("router x\nx-note\n-----BEGIN X-----\nAAA=\nsigning-key\n-----BEGIN X-----\nAAAA\n-----END X-----\nend\n")
@example("router x\nx-note\n-----BEGIN X-----\n-----END X-----\n\n# c\n\t-----BEGIN X-----\ncontact y\nend\n")
def test_lines_and_objects_are_those_that_tor_sees(text: str) -> None:
    expected = tokens(text)
    if expected is None:
        return
    found = parts(text.encode())
    read = [line.partition(" ") for line in found.lines.decode().split("\n")]
    lines = [(keyword, " ".join(rest.split())) for keyword, _, rest in read if keyword in ("contact", "accept", "end")]
    assert lines == [(keyword, rest) for keyword, rest, _ in expected if keyword in ("contact", "accept", "end")]
    for keyword, bodies in (("signing-key", found.keys), ("family-cert", found.certificates)):
        bare = [body for known, rest, body in expected if known == keyword and not rest and body]
        assert [body.decode() for body in bodies if body] == bare


def test_a_text_without_a_descriptor_has_no_places() -> None:
    for text in (
        b"",
        b"router x",
        b"\nrouter-signature\n-----END SIGNATURE-----\n",
        b"x\nrouter y\nrouter-signature\n",
    ):
        assert list(places(text)) == []


def test_what_stands_between_descriptors_is_none_of_them() -> None:
    one = b"router x\nrouter-signature\n-----BEGIN SIGNATURE-----\n-----END SIGNATURE-----\n"
    text = b"@source x\n" + one + b"\n@purpose router y\n" + one + b"accept *:*\n"
    assert [text[begin:end] for begin, end in places(text)] == [one, one]


def test_a_hostile_one_takes_no_time() -> None:
    for line in (
        b"\n",
        b" \t",
        b"\n#",
        b"-",
        b"\n-----BEGIN X-----\n",
        b"\nx\n-----BEGIN X-----\n-----END X-----",
        b"opt \n",
    ):
        parts(b"router x" + line * (20_000 // len(line)) + b"\n-----END X-----\n")
