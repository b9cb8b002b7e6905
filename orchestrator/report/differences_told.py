"""What differs between an exit and its controls, as lines for people: a mail shows them, and so does a terminal. Pure.

What that is `differences.py` and `bodies.py` have found; here it is only put into words.

Of a certificate the fields, of a body the lines, of each fact the values: `-` is what the controls were given and this
exit did not give, `+` what it alone gave. Facts that the deciding rule names come first, and whole; of those that only
follow from them the name is enough (`brief`). Texts are as they were received: whoever shows them escapes them.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from ..audit.agreement import SHARE
from ..tool import Status
from .bodies import GONE, NEW, SAME, BodyDifference
from .details import BodyShown, Detail
from .differences import CertificateDifference, FactDifference, Value
from .told import BOTH, FIELD, HEAD, HERE, NOTE, THERE, Told

SHARED_SHOWN = 2  # values of a fact that both sides have; of more their number
_BODY_MARKS = {GONE: THERE, NEW: HERE, SAME: BOTH}


def difference_lines(detail: Detail, when: str, *, is_brief: bool = False, stretch_max: int = 40) -> list[Told]:
    """All that differs. `when`: what the deciding rule asks for; `is_brief`: other facts by name only; `stretch_max`:
    of a body so many lines with the same mark in a row."""
    lines = list(certificate_lines(detail.certificate)) if detail.certificate is not None else []
    different = [fact for fact in detail.facts if fact.is_different]
    named = set(re.findall(r"[A-Za-z_][\w-]*", when))
    decided = [fact for fact in different if fact.name in named]
    others = [fact for fact in different if fact.name not in named]
    if is_brief and lines:
        told = {line.text for line in lines}
        decided = [fact for fact in decided if not _texts(fact) <= told]
    says_enough = decided or lines or detail.verdict.status == Status.BROKEN  # of no answer all facts are missing
    shown = decided if is_brief and says_enough else [*decided, *others]
    for fact in shown:
        lines += _fact(fact)
    if is_brief and shown and others and len(shown) < len(different):
        lines.append(Told(NOTE, f"also different: {', '.join(fact.name for fact in others)}"))
    for body in detail.bodies:
        lines += _body(body, stretch_max)
    return lines


def _texts(fact: FactDifference) -> set[str]:
    """The values that only one side saw."""
    sides = (fact.here, *filter(None, [fact.there]))
    return {value.text for side in sides for value in side.values if value.is_odd}


def certificate_lines(found: CertificateDifference) -> Iterator[Told]:
    """Two certificates, field by field; nothing, where there is nothing to compare or no difference."""
    different = [field for field in found.fields if field.is_different]
    if not found.there_of or not different:
        return
    yield Told(HEAD, "the server's certificate, field by field")
    here, there = f"{found.here_count} of {found.here_of}", f"{found.there_count} of {found.there_of}"
    for field in different:
        yield Told(FIELD, field.name)
        yield Told(THERE, field.there or "(none)", there)
        yield Told(HERE, field.here or "(none)", here)
    same = [field.name for field in found.fields if not field.is_different]
    if same:
        yield Told(NOTE, f"the same in both: {', '.join(same)}")
    for other in found.others:
        yield Told(NOTE, other)


def _fact(fact: FactDifference) -> Iterator[Told]:
    assert fact.there is not None
    yield Told(HEAD, fact.name)
    yield from _side(THERE, _given_to_others(fact), fact.there.of)
    yield from _side(HERE, [value for value in fact.here.values if value.is_odd], fact.here.of)
    for side in (fact.there, fact.here):
        if side.left_out:
            yield Told(NOTE, f"and {side.left_out} values more")
    if not fact.here.of:
        yield Told(NOTE, "this exit gave nothing to compare")
    shared = [value for value in fact.here.values if not value.is_odd]
    there = {value.text: value.count for value in fact.there.values}
    if len(shared) > SHARED_SHOWN:
        yield Told(NOTE, f"{len(shared)} values the same in both")
        return
    for value in shared:
        counts = f"{value.count} of {fact.here.of} here"
        if value.text in there:
            counts += f", {there[value.text]} of {fact.there.of} there"
        yield Told(BOTH, value.text, counts)


def _given_to_others(fact: FactDifference) -> list[Value]:
    """What is missing here; where most controls have no one value, those that many have and this exit did not give."""
    assert fact.there is not None
    missing = [value for value in fact.there.values if value.is_odd]
    own = {value.text for value in fact.here.values}
    others = [one for one in fact.there.values if one.text not in own and one.count >= SHARE * fact.there.of]
    return missing or others[:SHARED_SHOWN]


def _side(mark: str, values: Iterable[Value], of: int) -> Iterator[Told]:
    return (Told(mark, value.text, f"{value.count} of {of}") for value in values)


def _body(body: BodyShown, stretch_max: int) -> Iterator[Told]:
    difference = body.difference
    if difference is not None and not difference.lines:
        return
    yield Told(HEAD, f"{body.name}, as the tool saved it")
    if difference is None:
        yield Told(NOTE, body.note)
        return
    yield Told(THERE, f"{difference.there_bytes:,} bytes", f"{body.there_count} of {body.there_of}")
    yield Told(HERE, f"{difference.here_bytes:,} bytes", f"{body.here_count} of {body.here_of}")
    yield from body_lines(difference, stretch_max)


def body_lines(difference: BodyDifference, stretch_max: int) -> Iterator[Told]:
    """The lines of two bodies, no more than `stretch_max` with the same mark in a row."""
    for kind, stretch in groupby(difference.lines, key=lambda line: line.kind):
        lines = list(stretch)
        for line in lines[:stretch_max]:
            text = f"{line.before}{line.marked}{line.after}"
            yield Told(_BODY_MARKS[kind], text) if kind in _BODY_MARKS else Told(NOTE, f"... {text}")
        if len(lines) > stretch_max:
            yield Told(NOTE, f"... {len(lines) - stretch_max} more such lines")
    if difference.note:
        yield Told(NOTE, difference.note)
