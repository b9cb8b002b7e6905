"""Profiles: which exits a lab has and how each conducts itself, read from TOML and checked.

A profile is one of those beside this file, by name, or a file of the user's, by path:

    good = 12                          # plain exits besides
    seed = 7                           # optional: shuffles who is who; `--seed` goes before it

    [[exit]]
    behaviour = "injects"              # a label of one's own
    kind = "hostile"                   # honest, broken or hostile
    count = 1                          # so many exits like this one
    policy = ["accept *:*"]            # what it declares
    enforce = ["reject *:22", ...]     # what it does instead
    exit_flag = true                   # whether the authorities vote it the Exit flag
    latency = 1.5                      # seconds before its connections are served
    resolver = "lie"                   # or { with = "lie", address = "198.51.100.99" }
    meddle = [{ with = "inject-html", html = "<b>", when = { host = "web.test", port = 80, every = 3, after = 9 } }]
    expect = { http-body = "tampered", redirects = ["ok", "broken"] }
    repeat = 12                        # how many probes it takes to see that

All that is wrong in a file is told at once, each with its place and what is valid there. Decides nothing about
addresses and names: `network.py` does. Called by `start.py`.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ...wrappers.lab_meddling import MEDDLERS, RESOLVERS, Option
from ..errors import EXIT_USAGE, OperatorError
from ..policy import parse_policy
from ..tool import Status
from .conduct import OPEN_POLICY, PLAIN, Conduct, Kind, Meddle, When

FOLDER = Path(__file__).with_name("profiles")
GOOD_DEFAULT = 12
PROBE = ("192.0.2.1", 80)  # network.PROBE_ADDRESS, which can't be imported from above us

_TOP = ("good", "seed", "exit")
_EXIT = (
    "behaviour", "kind", "count", "policy", "enforce", "exit_flag", "latency", "resolver", "meddle", "expect",
    "repeat",
)  # fmt: skip
_WHEN = ("host", "port", "every", "after")
_TOOL_ID = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


@dataclass(frozen=True, slots=True)
class Profile:
    """A checked profile. `name` is what was asked for; `conducts` are its special exits in the order of the file."""

    name: str
    good: int
    conducts: tuple[Conduct, ...]
    seed: int | None = None

    def cast(self, exits: int | None = None, seed: int | None = None) -> tuple[Conduct, ...]:
        """One conduct for each exit, plain ones first; `exits`: how many in all. With a seed, shuffled.

        Only exits that declare the same change places: so one directory, and its keys, serve every seed.
        """
        good = self.good if exits is None else exits - len(self.conducts)
        if good < 0:
            raise OperatorError(
                f"The profile {self.name} has {len(self.conducts)} special exits, and --exits allows {exits}.",
                f"Use --exits {len(self.conducts) + 1} or more.",
                EXIT_USAGE,
            )
        cast = [Conduct()] * good + list(self.conducts)
        seed = self.seed if seed is None else seed
        if seed is None:
            return tuple(cast)
        rng = Random(seed)
        for declared in dict.fromkeys((one.policy, one.exit_flag) for one in cast):
            places = [n for n, one in enumerate(cast) if (one.policy, one.exit_flag) == declared]
            for place, one in zip(places, rng.sample([cast[n] for n in places], len(places)), strict=True):
                cast[place] = one
        return tuple(cast)


def built_in() -> tuple[str, ...]:
    """The names of the profiles that come with us."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str) -> Profile:
    """The profile of that name, or of that path. OperatorError, with all that is wrong."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        path = Path(name)
    else:
        path = FOLDER / f"{name}.toml"
        if not path.exists():
            raise OperatorError(
                f"There is no profile {name!r}.",
                f"Use {', '.join(built_in())}, or the path of a file, such as ./{name}.toml.",
                EXIT_USAGE,
            )
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}.", "--profile takes a name or a file.", EXIT_USAGE) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: this is no TOML: {error}.", "", EXIT_USAGE) from error
    reading = _Reading()
    profile = reading.profile(name, content)
    if reading.wrong:
        lines = [f"{path}: {line}" for line in reading.wrong]
        if len(lines) == 1:
            raise OperatorError(f"{lines[0]}.", "Nothing was started.", EXIT_USAGE)
        raise OperatorError("\n".join(lines), "\nNothing was started.", EXIT_USAGE)
    return profile


class _Reading:
    """One pass over a file; what is wrong is collected, and a value of the right type goes on in its place."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def profile(self, name: str, table: Mapping[str, Any]) -> Profile:
        self.keys("", table, _TOP)
        good = self.number("good", table.get("good", GOOD_DEFAULT), 0)
        seed = self.number("seed", table["seed"], 0) if "seed" in table else None
        conducts: list[Conduct] = []
        for number, one in enumerate(self.tables("exit", table.get("exit", [])), start=1):
            label = one.get("behaviour")
            place = f"exit {label!r}" if isinstance(label, str) else f"exit number {number}"
            if any(label == other.behaviour for other in conducts):
                self.say(place, "behaviour", "the label stands twice; `count` makes several of one")
            conducts += [self.conduct(place, one)] * self.number(f"{place}: count", one.get("count", 1), 1)
        return Profile(name, good, tuple(conducts), seed)

    def conduct(self, place: str, table: Mapping[str, Any]) -> Conduct:
        self.keys(place, table, _EXIT)
        label = table.get("behaviour", "")
        if not (isinstance(label, str) and _LABEL.match(label)) or label == PLAIN:
            self.say(place, "behaviour", f"{label!r} is not a label of letters, digits and dashes other than plain")
        resolver, resolver_options = self.resolver(place, table.get("resolver", ""))
        return Conduct(
            behaviour=str(label),
            kind=Kind(self.choice(place, "kind", table.get("kind"), tuple(Kind)) or Kind.HONEST),
            policy=self.policy(place, "policy", table.get("policy", list(OPEN_POLICY))) or OPEN_POLICY,
            enforce=self.policy(place, "enforce", table.get("enforce", [])),
            exit_flag=self.option(place, "exit_flag", table.get("exit_flag", True), Option(bool, True)),
            latency_s=float(self.option(place, "latency", table.get("latency", 0), Option(float, 0.0))),
            resolver=resolver,
            resolver_options=resolver_options,
            meddle=self.meddles(place, table.get("meddle", []), inside=False),
            expect=self.expect(place, table.get("expect", {})),
            repeat=self.number(f"{place}: repeat", table.get("repeat", 1), 1),
        )

    def policy(self, place: str, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            self.say(place, key, f"{value!r} is not a list of lines such as 'reject *:25'")
            return ()
        try:
            allowed = not value or parse_policy("\n".join(value)).allows(*PROBE)
        except ValueError:
            self.say(place, key, f"{value!r} is not a policy; its lines are such as 'reject *:25' or 'accept *:*'")
            return ()
        if not allowed:
            self.say(place, key, f"port 80 of {PROBE[0]} must be allowed: there the lab sees that an exit is ready")
        return tuple(value)

    def resolver(self, place: str, value: Any) -> tuple[str, Mapping[str, Any]]:
        table = value if isinstance(value, dict) else {"with": value}
        name = self.choice(place, "resolver", table.get("with"), tuple(RESOLVERS)) if value != "" else ""
        return name, self.options(f"{place}: resolver", table, RESOLVERS[name] if name else {}, ("with",))

    def meddles(self, place: str, value: Any, *, inside: bool) -> tuple[Meddle, ...]:
        key = "inside" if inside else "meddle"
        tables = self.tables(f"{place}: {key}", value)
        return tuple(self.meddle(f"{place}: {key} {n}", one, inside) for n, one in enumerate(tables, start=1))

    def meddle(self, place: str, table: Mapping[str, Any], inside: bool) -> Meddle:
        name = self.choice(place, "with", table.get("with"), tuple(MEDDLERS))
        own = ("with",) if inside else ("with", "when")
        options = self.options(place, table, MEDDLERS[name].options if name else None, own)
        if "inside" in options:
            found = self.meddles(place, options["inside"], inside=True)
            options["inside"] = [{"with": one.name, **one.options} for one in found]
        return Meddle(name, options, self.when(f"{place}: when", table.get("when", {})))

    def options(
        self, place: str, table: Mapping[str, Any], known: Mapping[str, Option] | None, own: tuple[str, ...]
    ) -> dict[str, Any]:
        if known is None:
            return {}
        self.keys(place, table, (*own, *known))
        return {key: self.option(place, key, table[key], known[key]) for key in table if key in known}

    def when(self, place: str, value: Any) -> When:
        if not isinstance(value, dict):
            self.wrong.append(f"{place}: {value!r} is not a table of {', '.join(_WHEN)}")
            return When()
        self.keys(place, value, _WHEN)
        hosts, ports = (found if isinstance(found, list) else [found] for found in _several(value, "host", "port"))
        if not all(isinstance(host, str) and host for host in hosts):
            self.say(place, "host", f"{value['host']!r} is not a target's name or address, or a list of them")
        if not all(_is_whole(port) and 1 <= port <= 65535 for port in ports):
            self.say(place, "port", f"{value['port']!r} is not a port from 1 to 65535, or a list of them")
        every = self.number(f"{place}: every", value.get("every", 1), 1)
        return When(
            tuple(map(str, hosts)), tuple(ports), every, self.number(f"{place}: after", value.get("after", 0), 0)
        )

    def expect(self, place: str, value: Any) -> dict[str, tuple[str, ...]]:
        if not isinstance(value, dict):
            self.say(place, "expect", f"{value!r} is not a table of statuses by tool")
            return {}
        found = {}
        for tool, statuses in value.items():
            if not _TOOL_ID.match(tool):
                self.say(place, "expect", f"{tool!r} is not the id of a tool")
            several = statuses if isinstance(statuses, list) and statuses else [statuses]
            found[tool] = tuple(self.choice(place, f"expect.{tool}", one, tuple(Status)) for one in several)
        return found

    def option(self, place: str, key: str, value: Any, option: Option) -> Any:
        kinds = {float: (int, float), list: (list,)}.get(option.type, (option.type,))
        is_right = isinstance(value, kinds) and (option.type is bool or not isinstance(value, bool))
        if is_right and option.choices:
            is_right = value in option.choices
        if is_right and option.type in (int, float):
            is_right = value >= option.least
        if not is_right:
            self.say(place, key, f"{value!r} is not {option.valid}")
            return option.default
        return value

    def choice(self, place: str, key: str, value: Any, valid: Sequence[str]) -> str:
        if not isinstance(value, str) or value not in valid:
            said = "is missing" if value is None else f"{value!r} is not valid"
            self.say(place, key, f"{said}; use one of {', '.join(valid)}")
            return ""
        return value

    def number(self, place: str, value: Any, least: int) -> int:
        if not _is_whole(value) or value < least:
            self.wrong.append(f"{place}: {value!r} is not a whole number from {least}")
            return least
        return int(value)

    def tables(self, place: str, value: Any) -> list[Mapping[str, Any]]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, dict) for one in value):
            self.wrong.append(f"{place}: {value!r} is not a list of tables")
            return []
        return list(value)

    def keys(self, place: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                self.say(place, key, f"there is no such key; use one of {', '.join(known)}")

    def say(self, place: str, key: str, text: str) -> None:
        self.wrong.append(f"{place}: {key}: {text}" if place else f"{key}: {text}")


def _several(table: Mapping[str, Any], *keys: str) -> list[Any]:
    return [table.get(key, []) for key in keys]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
