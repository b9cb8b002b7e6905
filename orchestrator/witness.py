"""The evidence of the runs under way, by run: so that a finding's attribution is recomputed before anybody is accused.

Listens to what the evidence log is given. Decides nothing: `verify.py` does, on the lines that `of` returns.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain, islice

from .verify import read_evidence, verify

CIRCUITS_MAX = 20_000
ENDED = ("CLOSED", "FAILED")

Entry = tuple[int, Mapping[str, object]]


class Witness:
    """Keeps the entries of each run until they are asked for. `shares_circuits`: one may serve several runs; `is_kept`:
    whether anybody will ask for those of a run; `in_use`: the circuits that runs under way had or were to have. No line
    of those is forgotten, nor of any that has not ended; of others it is, some time after CIRCUITS_MAX of them."""

    def __init__(
        self,
        header: Mapping[str, object],
        *,
        shares_circuits: bool = False,
        is_kept: Callable[[str], bool] = lambda run_id: True,
        in_use: Callable[[], Collection[int]] = tuple,
    ) -> None:
        self._header = header
        self._shares_circuits = shares_circuits
        self._is_kept = is_kept
        self._in_use = in_use
        self._circuits_max = CIRCUITS_MAX
        self._place = 0
        self._runs: dict[str, list[Entry]] = {}
        self._circuits: dict[int, list[Entry]] = {}
        self._run_of_stream: dict[int, str] = {}

    def note(self, entry: Mapping[str, object]) -> None:
        """One entry of the evidence log, in order."""
        self._place += 1
        run_id, line = entry.get("run"), entry.get("tor")
        if isinstance(run_id, str):
            if not self._is_kept(run_id):
                return
            self._runs.setdefault(run_id, []).append((self._place, entry))
        elif isinstance(line, str):
            self._note_line(line, (self._place, entry))

    def _note_line(self, line: str, entry: Entry) -> None:
        kind, number, *_ = line.split(" ", 2)
        if kind == "CIRC":
            self._circuits.setdefault(int(number), []).append(entry)
            if len(self._circuits) > self._circuits_max:
                self._forget_circuits()
        elif kind == "STREAM":
            run_id = _run_of_tag(line) or self._run_of_stream.get(int(number))
            if run_id in self._runs:
                self._run_of_stream[int(number)] = run_id
                self._runs[run_id].append(entry)

    def _forget_circuits(self) -> None:
        """So many that a fourth of the room is free, the oldest first; if fewer can be spared, the next look comes as
        much later."""
        in_use = set(self._in_use())
        spared = (number for number, lines in self._circuits.items() if number not in in_use and _has_ended(lines))
        for number in list(islice(spared, len(self._circuits) - CIRCUITS_MAX + CIRCUITS_MAX // 4)):
            del self._circuits[number]
        self._circuits_max = max(CIRCUITS_MAX, len(self._circuits) + CIRCUITS_MAX // 4)

    def of(self, run_id: str, circuit_ids: Iterable[int]) -> list[Mapping[str, object]]:
        """The entries of a run that is over, in order, under the log's header; they are forgotten here."""
        entries = self._runs.pop(run_id, [])
        for stream_id in [known for known, owner in self._run_of_stream.items() if owner == run_id]:
            del self._run_of_stream[stream_id]
        take = self._circuits.get if self._shares_circuits else self._circuits.pop
        circuits = chain.from_iterable(take(circuit_id, []) for circuit_id in circuit_ids)
        return [self._header, *(entry for _, entry in sorted((*entries, *circuits), key=lambda one: one[0]))]


def doubts(entries: Iterable[Mapping[str, object]], record: Mapping[str, object]) -> tuple[str, ...]:
    """What does not agree between a record and the evidence of its run; nothing: every stream is proven."""
    return tuple(verify(read_evidence(json.dumps(entry) for entry in entries), [record]).problems)


def _has_ended(lines: Iterable[Entry]) -> bool:
    return any(str(entry.get("tor")).split(" ", 3)[2] in ENDED for _, entry in lines)


def _run_of_tag(line: str) -> str | None:
    """The run that a line's SOCKS user name names (the tags are RUN.CONNECTION.RANDOM)."""
    _, found, rest = line.partition('SOCKS_USERNAME="')
    return rest.partition('"')[0].rsplit(".", 2)[0] if found else None
