"""Metrics of the last scans in the text format of Prometheus, for node_exporter's textfile collector. Pure.

Every label value is one of a few: tools, statuses, jobs, and fingerprints of exits that a finding is about. All gauges:
they tell what was found, and count nothing up. Called by `exitpin report prom`, which writes the file.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..results.wanted import FINDINGS, STATUSES
from .watch import Watched
from .watch_told import WatchTold

Sample = tuple[Mapping[str, str], float]


def exposition(jobs: Sequence[Watched], store_bytes: Mapping[str, int], watches: Sequence[WatchTold] = ()) -> str:
    """The whole text. `store_bytes`: the size of the store by part; `watches`: what each says of itself."""
    families: list[tuple[str, str, Iterable[Sample]]] = [
        ("exitpin_scan_info", "The last scan of a job that has ended: its id, and how it ended.", map(_info, jobs)),
        ("exitpin_scan_verdicts", "Verdicts of that scan, by tool and status.", _verdicts(jobs)),
        ("exitpin_scan_planned", "Verdicts that it should have.", _each(jobs, "planned")),
        ("exitpin_scan_complete", "1 if it has them all.", _each(jobs, "is_complete")),
        ("exitpin_scan_running", "1 while a later scan of the job is under way.", _each(jobs, "is_under_way")),
        ("exitpin_scan_start_timestamp_seconds", "When it began.", _each(jobs, "started")),
        ("exitpin_scan_end_timestamp_seconds", "When it ended.", _each(jobs, "ended")),
        ("exitpin_findings", "Findings by exit: of that scan, and those that it can't take back.", _findings(jobs)),
        ("exitpin_findings_omitted", "Findings beyond those that are named.", map(_omitted, jobs)),
        ("exitpin_store_bytes", "Size of the store on disk.", [({"part": n}, size) for n, size in store_bytes.items()]),
        *(_of_watches(watches) if watches else ()),
    ]
    return "".join(line for family in families for line in _family(*family))


def _of_watches(watches: Sequence[WatchTold]) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    """Times, and not how long ago: a file gets older."""
    timestamps = {
        "written": "When the watch wrote this last.",
        "end": "When an iteration ended last.",
        "due": "When the next iteration is to begin.",
        "snapshot": "Valid-after of the snapshot in use.",
    }
    fields = {"written": "written", "end": "last_ended", "due": "due", "snapshot": "valid_after"}
    yield "exitpin_watch_info", "A watch: what it does, with which scan, and why it is paused.", map(_watch, watches)
    yield "exitpin_watch_iteration", "The number of the last iteration that began.", _told(watches, "iteration")
    paused = [({"watch": one.watch}, int(one.state == "paused")) for one in watches]
    yield "exitpin_watch_paused", "1 while it is paused: exitpin_watch_info says why.", paused
    for name, told in timestamps.items():
        yield f"exitpin_watch_{name}_timestamp_seconds", told, _told(watches, fields[name])


def _watch(one: WatchTold) -> Sample:
    told = {"watch": one.watch, "state": one.state, "scan": one.scan, "scan_id": one.scan_id, "paused": one.paused}
    return told, 1


def _told(watches: Iterable[WatchTold], field: str) -> Iterator[Sample]:
    for one in watches:
        value = getattr(one, field)
        if value is not None:
            yield {"watch": one.watch}, value


def _family(name: str, told: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {told}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{shown}}} {_number(value)}\n"


def _job(job: Watched) -> dict[str, str]:
    return {"network": f"lab {job.lab}" if job.lab else "tor", "scan": job.name}


def _each(jobs: Iterable[Watched], field: str) -> Iterator[Sample]:
    return ((_job(job), getattr(job, field)) for job in jobs)


def _info(job: Watched) -> Sample:
    return {**_job(job), "scan_id": job.scan_id, "state": job.state}, 1


def _verdicts(jobs: Iterable[Watched]) -> Iterator[Sample]:
    """Each status of each tool, those that nobody has included: what is absent can't be alerted on."""
    for job in jobs:
        for tool in sorted({tool for tool, _ in job.tally}):
            for status in STATUSES:
                yield {**_job(job), "tool": tool, "status": status}, job.tally.get((tool, status), 0)


def _findings(jobs: Iterable[Watched]) -> Iterator[Sample]:
    for job in jobs:
        counted = Counter((one.tool, one.status, one.exit_fingerprint) for one in (*job.accused, *job.held))
        for (tool, status, fingerprint), count in counted.items():
            yield {**_job(job), "tool": tool, "status": status, "fingerprint": fingerprint}, count


def _omitted(job: Watched) -> Sample:
    found = sum(count for (_, status), count in job.tally.items() if status in FINDINGS)
    return _job(job), max(0, found - len(job.accused))


def _escaped(text: str) -> str:
    """A label's value: backslash, quote and end of line have escapes, all else is UTF-8."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return whole.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, int) else f"{value:.3f}"
