"""One part of a module, as the command of a run: `python -P -m exitpin.wrappers.exitmap setup|probe|teardown MODULE`.

exit status: that of the part: 0 when it returned (what it returns counts for nothing), 1 when it raised or left by an
exit of 0, or whatever else it exits with; 2 when it was not started by `exitpin exitmap`. A probe that returned gives
the fact `RETURNED`, since it may leave with 0 by os._exit. What it has forked has no part in that.
"""

import os
import sys
import traceback
from hashlib import sha256
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NoReturn

from . import handing, loading, logged
from .calling import PLACES, call
from .relays import AnyDestination, Consensus, ExitDescriptor
from .scan_files import FOLDER, RETURNED, ScanFiles, Spec

MISUSED, RAISED = 2, 1
OURS = (os.path.dirname(__file__), "")
"""Where code lies that is no module's: ours, and the machinery of imports."""


def main(part: str, path: Path) -> int:
    """Carry out one part; an exit status. What the module raises is shown, and a fact."""
    folder = os.environ.pop(FOLDER, None)
    if folder is None:
        print("exitpin: this is for `exitpin exitmap`, which starts it inside of a run", file=sys.stderr)
        return MISUSED
    owner, files, sys.argv = os.getpid(), ScanFiles(folder), [str(path)]
    spec = files.spec()
    facts = logged.begin(spec.verbosity, os.environ.get("EXITPIN_FACTS"), os.environ.get("EXITPIN_EVIDENCE"))
    loading.provide_names()
    _set_analysis_dir(spec)
    try:
        source = _source(path, spec)
        facts.give("module", f"{path.name} sha256:{spec.digest}")
        module = loading.load(path, source)
        {"setup": _setup, "probe": _probe, "teardown": _teardown}[part](module, files, spec)
    except SystemExit as error:
        if os.getpid() != owner or error.code not in (None, 0):
            raise
        facts.give("raised", f"SystemExit: {part}() has exited, and not returned")
        return RAISED
    except Exception as error:
        traceback.print_exception(error.with_traceback(_beyond_ours(error)))
        if os.getpid() != owner:
            _end_as_a_child(RAISED)
        facts.give("raised", f"{type(error).__name__}: {error}")
        return RAISED
    if os.getpid() != owner:
        _end_as_a_child(0)
    if part == "probe":
        facts.give(RETURNED, "yes")
    return 0


def _end_as_a_child(status: int) -> NoReturn:
    """A process that the module has forked has come back to us."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _source(path: Path, spec: Spec) -> bytes:
    """The file's content, if it is what the scan began with. Raises ImportError and OSError."""
    source = path.read_bytes()
    if sha256(source).hexdigest() != spec.digest:
        raise ImportError(f"{path} has changed since the scan began: begin another one")
    return source


def _beyond_ours(error: Exception) -> TracebackType | None:
    """Its traceback from the module's own code on, if it came so far."""
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) in OURS:
        trace = trace.tb_next
    return trace


def _set_analysis_dir(spec: Spec) -> None:
    """Before the module is loaded, and not made: modules do that. The run's own evidence where none was named."""
    from .names import util

    util.analysis_dir = spec.analysis_dir or os.environ.get("EXITPIN_EVIDENCE")


def _setup(module: ModuleType, files: ScanFiles, spec: Spec) -> None:
    owner = os.getpid()
    before = handing.Globals(module)
    host, port = spec.target
    if hasattr(module, "setup"):
        target = {} if host is None else {"target": host}
        call(module.setup, {"consensus": Consensus(files.consensus), **target})
    if os.getpid() != owner:
        return
    content, missing = before.changed()
    files.globals.write_bytes(content)
    files.tell_prepared(_destinations(module, host, port), missing)


def _destinations(module: ModuleType, host: str | None, port: int | None) -> list[tuple[str, int]] | None:
    """Where it goes. A module that says `None` goes anywhere, whatever the command line says; so does one that says
    nothing, without a target there."""
    declared = getattr(module, "destinations", ())
    if declared is None:
        return None
    if host is not None and port is not None:
        return [(host, port)]
    return [(str(host), int(port)) for host, port in declared] or None


def _probe(module: ModuleType, files: ScanFiles, spec: Spec) -> None:
    from .names import command

    handing.hand_on(files.globals.read_bytes(), module, Consensus(files.consensus))
    fingerprint, nickname, address = (os.environ[f"EXITPIN_EXIT_{what}"] for what in ("FP", "NICK", "IP"))
    descriptor, allowed = files.exit(fingerprint)
    host, port = spec.target
    known = {
        "exit_desc": ExitDescriptor(fingerprint, descriptor, nickname, address),
        "run_python_over_tor": command.run_python_over_tor(),
        "run_cmd_over_tor": command.Command(),
        "destinations": AnyDestination() if allowed is None else frozenset(allowed),
        "target_host": host,
        "target_port": port,
        "first_hop": spec.first_hop,
        "socks_port": 0,  # nobody listens there: whoever speaks SOCKS by itself is refused
    }
    call(module.probe, known, PLACES)


def _teardown(module: ModuleType, files: ScanFiles, spec: Spec) -> None:
    from .names.stats import Statistics

    handing.hand_on(files.globals.read_bytes(), module, Consensus(files.consensus))
    told = files.stats()
    known = {
        "stats": Statistics.of(told),
        "controller": None,
        "terminated_relays": list(told["terminated_relays"]),
    }
    call(module.teardown, known)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
