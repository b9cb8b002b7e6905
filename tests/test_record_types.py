"""The types of records have the keys of what is written, and no others: mypy lets a reader have no more than these."""

import json
from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from exitpin import records
from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.audit.cases import Conclusion
from exitpin.orchestrator.cli.run_record import record_line
from exitpin.orchestrator.tool import Status

from .cli.recorded_audit import SCAN, verdict
from .orchestrator.lives import opened
from .orchestrator.values import EXIT, GUARD

TABLES = {name for name, value in vars(records).items() if is_typeddict(value) and value is not records.TypedDict}


def test_each_key_that_is_written_is_in_the_type_and_no_other_is() -> None:
    told, _ = opened()
    told.step(fx.CircuitFailed("s-0001", 6, (GUARD, EXIT), 0, "CHANNEL_CLOSED", (GUARD,), "first-hop"))
    told.step(ev.ProcessExited(7, None), ev.TreeEnded(0.1, 4096, 0))
    run = json.loads(record_line(told.life, None, SCAN))
    judged = verdict("s1-v1", Conclusion(Status.TAMPERED, "another leaf", 0, lied=2, of=2, undecided=("title",)))
    compared = [*tables(run, records.RunRecord), *tables(judged, records.VerdictRecord)]
    differ = [(kind.__name__, set(table) ^ set(get_type_hints(kind))) for table, kind in compared]
    assert [(name, keys) for name, keys in differ if keys] == []
    assert {name for name, _ in differ} == TABLES


def tables(value: Any, kind: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each table in a value that is written as one of this kind, with its own kind."""
    if get_origin(kind) is list:
        for one in value:
            yield from tables(one, *get_args(kind))
    elif isinstance(kind, UnionType):
        for one in get_args(kind) if value is not None else ():
            yield from tables(value, one)
    elif is_typeddict(kind):
        yield value, kind
        for name, inner in get_type_hints(kind).items():
            if name in value:
                yield from tables(value[name], inner)
