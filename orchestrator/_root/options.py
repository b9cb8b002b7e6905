"""Options of the command line that a `Session` is given for a run or an audit: which it takes. The others would have it
run several times, elsewhere, or print something else; they are refused before anything is started.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError

Containment: TypeAlias = Literal["shim", "guard", "notify", "shim+netns", "guard+netns", "notify+netns"]
"""docs/containment.rst tells what each holds."""
OF_A_RUN = frozenset({
    "destinations", "flag", "not_flag", "family", "contact", "bad_exits", "seed", "resolve", "wide", "containment",
    "allow", "read_only", "dns_server", "ipv6", "bandwidth_min", "bandwidth_max", "measured",
})  # fmt: skip
NOT_OF_AN_AUDIT = ("--dry-run", "--help", "--runs", "--lab", "--name", "--control")


def options_of_a_run(options: Sequence[str]) -> list[str]:
    """They are options of `exitpin run`, and such as leave it one run through the exit that was named. Raises
    OperatorError for all others."""
    from exitpin.orchestrator.cli.option_tables import OptionsParser
    from exitpin.orchestrator.cli.run import add_options

    if not options:
        return []
    parser = OptionsParser()
    add_options(parser, required=False)
    try:
        args, unknown = parser.parse_known_args([*options])
    except ValueError as error:
        raise OperatorError(f"options={list(options)!r}: {error}.", "", EXIT_USAGE) from None
    others = [
        action.option_strings[-1]
        for action in parser._actions
        if action.dest not in OF_A_RUN and getattr(args, action.dest) != action.default
    ]
    if unknown or others or "--" in options:
        known = ", ".join(sorted(one.option_strings[-1] for one in parser._actions if one.dest in OF_A_RUN))
        raise OperatorError(
            f"{[*unknown, *others, '--'][0]} is no option of one run through one exit.",
            f"There are {known}.",
            EXIT_USAGE,
        )
    return list(options)


def hold(containment: str | None, allow: str | Iterable[str]) -> list[str]:
    """How firmly all runs are held, and what they may do, as options. Raises OperatorError."""
    allowed = [allow] if isinstance(allow, str) else list(allow)
    level = [] if containment is None else [f"--containment={containment}"]
    return options_of_a_run([*level, *(f"--allow={what}" for what in allowed)])


def options_of_an_audit(options: Sequence[str]) -> list[str]:
    """They leave it an audit of this session, that gives verdicts. Raises OperatorError for all others."""
    for option in options:
        name = option.partition("=")[0]
        if name == "-h" or (len(name) > 2 and any(one.startswith(name) for one in NOT_OF_AN_AUDIT)):
            raise OperatorError(f"{name} is no option of an audit that gives verdicts here.", "", EXIT_USAGE)
    return list(options)
