"""What the manual says besides the help: files, variables, exit statuses of a verb that tells none, and other pages."""

import argparse

from ..settings import KEYS

MISUSED = ("2", "exitpin was misused: an unknown verb, option or name")
FAILED = ("125", "exitpin or Tor failed, or something could not be written")
INTERRUPTED = ("130", "interrupted by Ctrl-C (128+N: ended by signal N)")
STATUSES = (("0", "success"), MISUSED, FAILED, INTERRUPTED)

CONFIG = (
    ("/etc/exitpin/config.toml", "settings of the machine"),
    ("~/.config/exitpin/config.toml", "settings of the user, under `XDG_CONFIG_HOME` if that is set"),
)
TOR = (("~/.cache/exitpin/tor", "what exitpin's own tor keeps, under `XDG_CACHE_HOME` if that is set"),)
STORE = (
    (
        "~/.local/state/exitpin/results.sqlite",
        "the records of runs and verdicts, with the evidence in results.sqlite.evidence beside it; under"
        " `XDG_STATE_HOME` if that is set",
    ),
    ("~/.local/state/exitpin/starts-tor", "what was started in the last hour, for limits that hold over all commands"),
)
TOOLS = (
    ("/usr/share/exitpin/tools.d", "tools, after those that come with exitpin"),
    ("/etc/exitpin/tools.d", "tools of the machine"),
    ("~/.config/exitpin/tools.d", "tools of the user, under `XDG_CONFIG_HOME` if that is set"),
    ("./tools.d", "tools of the working directory; each has to be trusted first"),
    ("~/.local/state/exitpin/trusted.json", "what was trusted, under `XDG_STATE_HOME` if that is set"),
)
LAB = (("$XDG_RUNTIME_DIR/exitpin/lab", "the running labs; /tmp/exitpin-UID/lab without that variable"),)

IN_A_RUN = (
    ("EXITPIN", "1, in what a run starts"),
    ("EXITPIN_EXIT_FP", "the fingerprint of the run's exit, there"),
    ("EXITPIN_EXIT_NICK", "its nickname, there"),
    ("EXITPIN_EXIT_IP", "its address, there"),
    ("EXITPIN_RUN_ID", "the id of the run, there"),
)
ARTIFACTS = (("EXITPIN_ARTIFACTS", "a folder for files of the run, in what it starts"),)
EACH_SETTING = (("EXITPIN_*", "each setting, such as `EXITPIN_JOBS`: `exitpin`(1) lists them"),)
NO_DAEMON = (
    ("EXITPIN_DAEMON", "the socket of a daemon of your own, which is asked and no other; yours alone (0600)"),
    ("EXITPIN_NO_DAEMON", "if it is set, `run` and `sh` ask no daemon"),
)
PATIENCE = (
    ("EXITPIN_STORE_PATIENCE", "for how many seconds a store that somebody else keeps locked is waited for (30)"),
)
TICKETS = (
    ("EXITPIN_TICKETS", "0: the next connect of a run waits for exitpin's loop, which takes it some 0.7 ms longer"),
)
OF_LAB = (("EXITPIN_LAB", "the name of the lab that `--name` names"),)
SETTINGS = tuple((key.variable, f"the setting `{key.name}`: {key.valid}") for key in KEYS)

RELATED = {
    "run": ("sh", "exits", "doctor"),
    "sh": ("run", "emit", "evidence", "verdict"),
    "audit": ("tools", "results", "report", "replay"),
    "exits": ("run",),
    "daemon": ("run", "sh"),
    "lab": ("run", "audit"),
    "tools": ("audit",),
    "results": ("audit", "replay", "report"),
    "replay": ("audit", "results-show"),
    "report": ("audit", "results"),
    "doctor": ("run", "config-show"),
    "emit": ("sh", "evidence", "verdict"),
    "evidence": ("sh", "emit", "verdict"),
    "verdict": ("sh", "emit", "evidence"),
}
OTHERS = {"": ("tor(1)", "torsocks(1)"), "run": ("tor(1)", "torsocks(1)"), "sh": ("bash(1)",)}


def files(path: tuple[str, ...], options: set[str]) -> list[tuple[str, str]]:
    """The files that a verb, with these options, reads or writes."""
    found: list[tuple[str, str]] = []
    verb = path[0] if path else ""
    if not path:
        found += [*CONFIG, *TOOLS, *STORE, *TOR, *LAB]
    if verb == "config" or "--control" in options:
        found += CONFIG
    if verb in ("audit", "tools"):
        found += TOOLS
    if "--store" in options or verb == "results":
        found += STORE
    if "--control" in options:
        found += TOR
    if verb == "lab" or "--control" in options:
        found += LAB
    return found


def variables(path: tuple[str, ...], options: set[str]) -> list[tuple[str, str]]:
    """The variables that matter to a verb with these options."""
    verb = path[0] if path else ""
    found = [*(SETTINGS if not path or verb == "config" else ())]
    found += IN_A_RUN if not path or verb in ("run", "sh", "emit", "evidence", "verdict") else ()
    found += ARTIFACTS if not path or verb in ("sh", "emit", "evidence", "verdict") else ()
    found += EACH_SETTING if "--control" in options else ()
    found += NO_DAEMON if not path or verb in ("run", "sh", "daemon") else ()
    found += PATIENCE if not path or verb in ("audit", "watch") else ()
    found += OF_LAB if not path or verb == "lab" or "--control" in options else ()
    found += TICKETS if not path or "--control" in options else ()
    if path == ("results", "show") or verb in ("replay", "doctor"):
        found.append(("NO_COLOR", "no colour on a terminal, if it is set"))
    return found


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """All spellings of those that are for people."""
    shown = [action for action in parser._actions if action.help is not argparse.SUPPRESS]
    return {option for action in shown for option in action.option_strings}


def others(path: tuple[str, ...], inner: list[str]) -> list[str]:
    """The pages to see besides: of the verb above, of its own verbs, and of related ones; the order of man-pages(7)."""
    above = ["exitpin(1)"] if path else []
    above += [f"{'-'.join(['exitpin', *path[:n]])}(1)" for n in range(1, len(path))]
    own = [f"{'-'.join(['exitpin', *path, verb])}(1)" for verb in inner]
    related = [f"exitpin-{verb}(1)" for verb in RELATED.get("-".join(path), ())]
    return sorted({*above, *own, *related}) + list(OTHERS.get("-".join(path), ()))
