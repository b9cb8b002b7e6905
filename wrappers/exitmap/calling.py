"""Calls what a module defines with what it asks for: exitmap and its forks pass different things, by place or by name.

  probe     upstream: the first three by place, `destinations` by name; forks: all by name, with a target and more
  setup     upstream: nothing; forks: `consensus`, and `target` when there is one
  teardown  upstream: nothing; a fork: `stats`, `controller`, `terminated_relays`

So a signature is read, never guessed from an error: a TypeError of the module's own is the module's.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PLACES = ("exit_desc", "run_python_over_tor", "run_cmd_over_tor")
"""What upstream's probe is given by place, whatever it calls it."""


def call(function: Callable[..., Any], known: Mapping[str, Any], places: Sequence[str] = ()) -> Any:
    """Call it with as much of `known` as it takes. Raises TypeError for what no exitmap gives."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*(known[name] for name in places))
    named = {parameter.name for parameter in parameters}
    unnamed = [name for name in places if name not in named]
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    is_whole = False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += [known[name] for name in unnamed]
            unnamed = []
        elif parameter.kind is parameter.VAR_KEYWORD:
            is_whole = True
        elif parameter.name in known or (unnamed and parameter.kind is not parameter.KEYWORD_ONLY):
            value = known[parameter.name if parameter.name in known else unnamed.pop(0)]
            if parameter.kind is parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = value
            else:
                args.append(value)
        elif parameter.default is parameter.empty:
            raise TypeError(f"{function.__name__}() wants {parameter.name!r}, which no exitmap gives")
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            args.append(parameter.default)
    if is_whole:
        by_place = set(places) - set(unnamed)
        kwargs |= {name: value for name, value in known.items() if name not in named and name not in by_place}
    return function(*args, **kwargs)
