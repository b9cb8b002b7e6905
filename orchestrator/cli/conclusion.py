"""What `exitpin run` says when it is over, and its exit status. Pure: `run_scan.py` asks, and prints.

A status of 0 says that every run of the plan was done, attributed, and written down, and that its command returned 0.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..containment import Containment
from ..counted import counted
from ..errors import EXIT_FAILED, EXIT_TIMEOUT, status_of_signal
from ..observation import failure_of
from ..runs import DENIED_MAX, Life

EXIT_SOME_FAILED = 123
NOT_ATTRIBUTED = frozenset({"attribution", "shim", "tor", "circuit", "circuit-lost", "clock"})
UNHOOKED = frozenset({"static", "libc"})
DOCTOR = "`exitpin doctor` shows what there is."
UNSAID = frozenset({signal.SIGINT, signal.SIGPIPE})
"""Signals by which a tool ends as it should; no shell says a word of them either."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a plan ended. `lives`: the runs that were done; `unwritten`: why a stream of ours lacks its end, by name;
    `unread`: the kind of failure that the facts are of each that gave such as can't be read, and did not fail else."""

    lives: Sequence[Life]
    planned: int
    trust_lost: str | None = None
    foreign_streams: int = 0
    interrupted_by: int | None = None
    unwritten: Mapping[str, str] = field(default_factory=dict)
    unread: Sequence[str] = ()


def concluded(
    ending: Ending, containment: Containment, *, is_foreground: bool, has_unread: bool
) -> tuple[list[str], int]:
    """All that is said of a plan, and the exit status. `has_unread`: what a run was given can't be read."""
    sentences, status = conclude_foreground(ending) if is_foreground else conclude(ending)
    sentences += [*unheld(ending.lives, containment), *advised(ending.lives)]
    if has_unread and is_foreground:
        status = EXIT_FAILED
    elif has_unread and status == 0:
        status = EXIT_SOME_FAILED
    return sentences, status


def conclude(ending: Ending) -> tuple[list[str], int]:
    """Sentences and status of a plan of several runs."""
    lives = ending.lives
    failures = Counter(failure.kind for life in lives if (failure := failure_of(life)) is not None)
    failures += Counter(ending.unread)
    connections = counted(sum(len(life.connections) for life in lives), "connection")
    why = "".join(f", {count} {kind}" for kind, count in failures.most_common())
    account = f"{len(lives)} of {counted(ending.planned, 'run')}: {len(lives) - failures.total()} ok{why}"
    doubt = f"{counted(failures['attribution'], 'run')} with attribution in doubt"
    sentences = [f"{account}; {connections}, {doubt}"]
    if ending.foreign_streams:
        sentences.append(f"{counted(ending.foreign_streams, 'stream')} that nobody claimed (any more): closed")
    if ending.trust_lost is not None:
        sentences.append(f"stopped: {ending.trust_lost}")
    sentences += _unwritten(ending)
    if ending.interrupted_by is not None:
        return sentences, status_of_signal(ending.interrupted_by)
    is_incomplete = ending.trust_lost is not None or len(lives) < ending.planned or bool(ending.unwritten)
    if is_incomplete or any(kind in NOT_ATTRIBUTED for kind in failures):
        return sentences, EXIT_FAILED
    return sentences, EXIT_SOME_FAILED if failures else 0


def conclude_foreground(ending: Ending) -> tuple[list[str], int]:
    """Sentences and status of one run that had the terminal: the command's own status, if it can be vouched for."""
    life = ending.lives[0] if ending.lives else None
    if life is not None and life.refused is not None:
        return [refusal(life)], life.refused.exit_status
    if ending.interrupted_by is not None:
        return [], status_of_signal(ending.interrupted_by)
    if life is None:
        return [f"the command was not run: {ending.trust_lost or 'its run was never begun'}"], EXIT_FAILED
    if life.failure is not None:
        status = EXIT_TIMEOUT if life.failure.kind == "timeout" else EXIT_FAILED
        return [f"{life.failure.kind}: {life.failure.detail}"], status
    sentences = []
    found = failure_of(life)
    if found is not None and found.kind != "tool":
        sentences.append(f"{found.kind} (blame: {found.blame}): {found.detail}")
    signo = life.exited.signal if life.exited is not None else None
    if signo is not None and signo not in UNSAID:
        sentences.append(f"{life.run.argv[0]} was ended by {_signal_name(signo)}")
    if life.ended is not None and life.ended.swept:
        sentences.append(f"{counted(life.ended.swept, 'process', 'es')} left in the background: ended with the command")
    if ending.trust_lost is not None:
        sentences.append(f"stopped: {ending.trust_lost}")
    sentences += _unwritten(ending)
    if ending.trust_lost is not None or ending.unwritten or life.exited is None:
        return sentences, EXIT_FAILED
    return sentences, status_of_signal(life.exited.signal) if life.exited.signal else life.exited.rc or 0


def _unwritten(ending: Ending) -> list[str]:
    return [f"{name} could not be written to its end: {why}" for name, why in ending.unwritten.items()]


def _signal_name(signo: int) -> str:
    try:
        return signal.Signals(signo).name
    except ValueError:
        return f"signal {signo}"


def advised(lives: Sequence[Life]) -> list[str]:
    """What the caller can allow or name so that what was refused works."""
    reasons = {(one.reason, one.what if one.reason == "listen" else "") for life in lives for one in life.denied}
    said = []
    if ("listen", "") in reasons:
        said.append("refused: listening on a Unix socket: --allow listen lets a tool do so")
    if ("dns", "") in reasons:
        said.append("refused: questions to a private resolver: --dns-server IP names one that exits reach")
    return said


def unheld(lives: Sequence[Life], containment: Containment) -> list[str]:
    """A sentence on what was refused only because hooks alone can't do it, if anything was."""
    problem, has_server = containment.abilities.notify_problem, containment.abilities.has_namespaces
    if containment.is_supervised:
        return []
    programs = dict.fromkeys(one.what for life in lives for one in life.denied if one.reason in UNHOOKED)
    askers = dict.fromkeys(name for life in lives for name in _askers(life)) if has_server else {}
    parts, does = [], []
    if programs:
        parts.append(f"{counted(len(programs), 'program')} that hooks can't steer ({_some(programs)})")
        does.append("runs such programs")
    if askers:
        parts.append(f"UDP of {_some(askers)}")
        does.append("answers questions to name servers")
    if not parts:
        return []
    is_cut = any(len(life.denied) >= DENIED_MAX for life in lives)
    level = "the level notify" if problem else "--containment notify"
    but = f", and it is not there: {problem}" if problem else ""
    return [f"refused{', at least' if is_cut else ''}: {', '.join(parts)}: {level} {' and '.join(does)}{but}"]


def _askers(life: Life) -> Iterator[str]:
    """Those to whom UDP was refused and who can do nothing without: others (curl) look what there is, and go on."""
    from ...wrappers.program import ASKS_OVER_UDP

    for one in life.denied:
        name = os.path.basename(life.processes.get(one.pid, ""))
        if one.reason == "udp" and name in ASKS_OVER_UDP:
            yield name


def _some(names: Iterable[str]) -> str:
    first, *more = names
    return f"{first}, ..." if more else first


def refusal(life: Life) -> str:
    """Why the launcher did not start the command."""
    refused, command = life.refused, life.run.argv[0]
    assert refused is not None
    return {
        "static": f"{command} is a static binary: hooks can't steer it, only the level notify pins it. {DOCTOR}",
        "setuid": f"{command} is setuid or has file capabilities: it would lack them here. Use a copy without them.",
        "foreign": f"{command} is built for another class or machine: neither the shim nor the kernel could pin it.",
        "libc": f"{command} is built for another C library: only the level notify pins it. {DOCTOR}",
        "not-found": f"{command}: command not found.",
        "containment": f"the kernel would not contain {command}: {refused.detail}. {DOCTOR}",
        "inherited": "input or output of this command is a socket to a network, to a program that listens on a Unix"
        " socket, or for datagrams. Put a pipe in between, or allow the program: --allow unix:PATH.",
    }.get(refused.reason, f"{command} can't be executed: {refused.detail or refused.reason}.")
