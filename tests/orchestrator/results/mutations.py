"""Bundles changed in one place, and packed again as a forger would: with hashes and counts that agree.

`claims` are the changes of what is claimed about whom: none of them may be called consistent. `any_change` is whatever
a change may be: it may survive, and must never end in anything but sentences or a refusal.
"""

import copy
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from exitpin.orchestrator.results.bundle import ABOUT, RECORDS, SCANS, piece_name
from exitpin.orchestrator.results.exhibit import exhibit, pack

from .bundled import Members, lines

Record = dict[str, Any]
Place = tuple[str | int, ...]

WORDS = ("ok", "tampered", "suspect", "broken", "error", "skipped", "probe", "control", "confirm", "superseded", "exit",
         "direct", "pinned", "succeeded", "failed", "F" * 40, "", "(vantage)", "\ud800", "x" * 300)  # fmt: skip
ODD: tuple[object, ...] = (None, True, False, 0, 1, -1, 2.5, 10**400, float("nan"), float("inf"), [], {}, [[]], "0")
OF_ANY = ("schema", "scan_id", "exit.fingerprint", "vantage.kind")
OF_VERDICTS = ("exit.nickname",
               "status", "severity", "lied", "of", "reason", "blame", "key", "runs", "runs.*.run_id", "runs.*.status",
               "runs.*.role", "runs.*.t", "runs.*.reason", "controls.*.exit", "controls.*.run_id", "controls.*.at",
               "controls.*.facts.*", "tool.id", "tool.digest", "tool.params.*")  # fmt: skip
OF_RUNS = ("exit.nickname",
           "run_id", "status", "key", "role", "t.end", "verdict.status", "verdict.severity", "verdict.reason",
           "source_address", "circuits", "circuits.*.id", "circuits.*.path", "circuits.*.path.*", "streams",
           "streams.*.stream_id", "streams.*.circuit_id", "streams.*.status", "streams.*.tag", "streams.*.destination",
           "streams.*.source_address", "streams.*.source_port", "streams.*.resolved", "streams.*.reason",
           "streams.*.remote_reason", "streams.*.pid", "streams.*.is_lookup", "evidence.0.sha256",
           "controls.*.exit", "controls.*.facts.*")  # fmt: skip
OF_CONTROLS = ("run_id", "role", "scan_id", "unusable", "exit.fingerprint", "t.end", "tool.params.*", "vantage.kind",
               "streams", "streams.*.circuit_id", "circuits.*.path", "source_address")  # fmt: skip


def claims(told: Members, random: Random, count: int) -> Iterator[tuple[str, Members]]:
    """So many changes of what accuses, or is compared with who is accused: a sentence, and the members."""
    records = lines(told)
    places = [(n, place) for n, record in enumerate(records) for place in _claiming(record)]
    for _ in range(count):
        number, place = random.choice(places)
        changed = _changed(records[number], place, random)
        if changed is not None and changed != records[number]:
            name = f"{'.'.join(map(str, place))} of record {number} is {at(changed, place)!r:.60}"
            yield name, repacked(told, [*records[:number], changed, *records[number + 1 :]])


def any_change(told: Members, random: Random, count: int) -> Iterator[tuple[str, Members]]:
    """So many changes of anything: a member, a line, a value, a byte."""
    for number in range(count):
        change = random.choice((_any_value, _any_value, _any_line, _any_scan, _any_about, _any_event, _any_bytes))
        yield f"{change.__name__} {number}", change(told, random)


def repacked(told: Members, records: list[Any], scans: bytes | None = None) -> Members:
    """The same with these records: their hashes, and how many there are, are right."""
    record_lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    scan_lines = told[SCANS] if scans is None else scans
    known = [record for record in records if isinstance(record, dict)]
    named = {
        str(item.get("sha256")) for record in known for item in _list(record.get("evidence")) if isinstance(item, dict)
    }
    kept = {
        name: content for name, content in told.items() if name[9:].replace("/", "")[:64] in named or "/" not in name
    }
    about = {
        **json.loads(told[ABOUT]), "pieces": sum("/" in name for name in kept), "scans": scan_lines.count(b"\n"),
        "verdicts": len({str(record["verdict_id"]) for record in known if "verdict_id" in record}),
        "runs": len({str(record.get("run_id")) for record in known if "verdict_id" not in record}),
        "hashes": {name: hashlib.sha256(c).hexdigest() for name, c in ((RECORDS, record_lines), (SCANS, scan_lines))},
    }  # fmt: skip
    return {**kept, ABOUT: json.dumps(about).encode(), RECORDS: record_lines, SCANS: scan_lines}


def _claiming(record: Record) -> Iterator[Place]:
    """The places of a record that claim something of somebody, where there is anything."""
    own = OF_VERDICTS if "verdict_id" in record else OF_CONTROLS if record.get("role") == "control" else OF_RUNS
    if "verdict_id" in record and record.get("status") not in ("tampered", "suspect"):
        own = tuple(name for name in own if name not in ("severity", "reason", "status"))  # less may be said
    elif "verdict_id" not in record and (record.get("verdict") or {}).get("status") not in ("tampered", "suspect"):
        own = tuple(name for name in own if not name.startswith(("verdict.", "controls.")))
    for wanted in (*OF_ANY, *own):
        for place in _places(record, tuple(wanted.split("."))):
            is_of_a_control = place[0] == "controls" and len(place) > 1
            if not is_of_a_control or record["controls"][place[1]]["vantage"] == "exit":  # others nobody can check
                yield place


def _places(value: object, wanted: tuple[str, ...]) -> Iterator[Place]:
    if not wanted:
        yield ()
        return
    names: list[str | int] = []
    if isinstance(value, dict):
        names = [*value] if wanted[0] == "*" else [wanted[0]] if wanted[0] in value else []
    elif isinstance(value, list):
        names = [*range(len(value))] if wanted[0] == "*" else [0] if wanted[0] == "0" and value else []
    for name in names:
        for rest in _places(value[name], wanted[1:]):  # type: ignore[index]
            yield (name, *rest)


def at(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value


def _changed(record: Record, place: Place, random: Random) -> Record | None:
    """With another value there, that claims something else; None: this can't be changed so."""
    changed = copy.deepcopy(record)
    table, name, value = at(changed, place[:-1]), place[-1], at(record, place)
    if isinstance(value, list):
        if not value:
            return None
        table[name] = random.choice((value[1:], [*value, value[0]]))  # the last stream may be none
    elif isinstance(value, bool):
        table[name] = not value
    elif isinstance(value, int | float):
        table[name] = random.choice((value + 1_000_000, -value - 1, str(value) + "0", value - 1_000_000))
    elif isinstance(value, dict):
        table[name] = {**value, next(iter(value), "x"): "x"}
    elif isinstance(value, str):
        table[name] = random.choice(("F" * 40, f"{value}x", *WORDS[:10]))
    else:
        table[name] = random.choice(("x", "192.0.2.99"))
    return changed


def _any_value(told: Members, random: Random) -> Members:
    records = lines(told)
    number = random.randrange(len(records))
    records[number] = _with_any_value(records[number], random)
    return repacked(told, records)


def _with_any_value(record: Any, random: Random) -> Any:
    changed = copy.deepcopy(record)
    table: Any = changed
    while True:
        names = [*table] if isinstance(table, dict) else [*range(len(table))]
        if not names:
            return changed
        name = random.choice(names)
        if isinstance(table[name], dict | list) and table[name] and random.random() < 0.8:
            table = table[name]
            continue
        value = random.choice((*ODD, *WORDS, _deep(random.choice((3, 300, 900))), [table[name]] * 3))
        if random.random() < 0.2:
            del table[name]
        else:
            table[name] = value
        return changed


def _deep(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def _any_line(told: Members, random: Random) -> Members:
    """One dropped, doubled, moved, or exchanged in part with another."""
    records = lines(told)
    one, other = random.randrange(len(records)), random.randrange(len(records))
    change = random.randrange(4)
    if change == 0:
        del records[one]
    elif change == 1:
        records.insert(other, records[one])
    elif change == 2:
        random.shuffle(records)
    else:
        name = random.choice(("exit", "evidence", "streams", "circuits", "controls", "verdict", "runs", "facts"))
        records[one][name], records[other][name] = records[other].get(name), records[one].get(name)
    return repacked(told, records)


def _any_scan(told: Members, random: Random) -> Members:
    scans = [_with_any_value(json.loads(line), random) for line in told[SCANS].splitlines()]
    return repacked(told, lines(told), b"".join(json.dumps(scan).encode() + b"\n" for scan in scans))


def _any_about(told: Members, random: Random) -> Members:
    return {**told, ABOUT: json.dumps(_with_any_value(json.loads(told[ABOUT]), random)).encode()}


def _any_event(told: Members, random: Random) -> Members:
    """Evidence that was changed, and is named by its new hash."""
    return with_events(told, random, lambda entries: _shuffled(entries, random))


def _shuffled(entries: list[Any], random: Random) -> list[Any]:
    number = random.randrange(len(entries))
    change = random.randrange(4)
    if change == 0:
        del entries[number]
    elif change == 1:
        entries.append(entries[number])
    elif change == 2:
        entries.insert(random.randrange(len(entries)), entries.pop(number))
    else:
        entries[number] = _with_any_value(entries[number], random)
    return entries


def with_events(told: Members, random: Random, change: Callable[[list[Any]], list[Any]]) -> Members:
    """The same with other events of one run, and its record names them."""
    records = lines(told)
    run = random.choice([record for record in records if _events(record)])
    item = _events(run)
    assert item is not None
    content = gzip.decompress(told[piece_name(item["sha256"])])
    entries = change([json.loads(line) for line in content.splitlines()])
    piece = pack(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
    run["evidence"] = [exhibit("events", piece) if one is item else one for one in run["evidence"]]
    more = {**told, piece_name(piece.sha256): piece.packed}
    lists = {name: more.pop(name) for name in (RECORDS, SCANS)}
    return repacked({**more, **lists}, records)


def _events(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((item for item in _list(record.get("evidence")) if item.get("name") == "events"), None)


def _any_bytes(told: Members, random: Random) -> Members:
    name = random.choice([*told])
    content = bytearray(told[name])
    for _ in range(random.randrange(1, 4)):
        if content:
            content[random.randrange(len(content))] = random.randrange(256)
    return {**told, name: bytes(content)}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
