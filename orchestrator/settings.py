"""The user's settings and where each value comes from.

Built-in values < /etc/exitpin/config.toml < $XDG_CONFIG_HOME/exitpin/config.toml < EXITPIN_* < command line. All
that is wrong in all of them is told at once. Does not decide what a setting means: whoever acts on it does. Called
by the command line. pydantic and tomllib are imported only when there is a file to read: a start pays for what it
uses.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .duration import DAY_S, duration_s
from .errors import EXIT_USAGE, OperatorError
from .model import join_host_port
from .rate import PER_DESTINATION, Rate, rate_of
from .tool_settings import NAME as PARAMS
from .tool_settings import Params, key_of, merged, read_params

SYSTEM_FILE = Path("/etc/exitpin/config.toml")
BUILT_IN = "built-in"
COMMAND_LINE = "command line"
FALLBACKS = ("none", "guards")

_FINGERPRINT = re.compile(r"\$?([0-9A-Fa-f]{40})")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force. `origins` has an entry for each key that is not built-in; `params`: values for tools'
    parameters, by tool and name."""

    first_hops: tuple[str, ...] = ()
    first_hops_fallback: str = "none"
    build_delay_s: float = 3.0
    build_jitter_s: float = 1.0
    rate: Rate | None = None
    per_destination: Rate = PER_DESTINATION
    timeout_s: float = 120.0
    jobs: int = 4
    hops: int = 2
    network_wait_s: float = 600.0
    destinations: tuple[str, ...] = ()
    control: str = ""
    as_file: str = ""
    params: Params = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Where the value of `key` (its name in the file) comes from: a file, a variable, or built-in."""
        return self.origins.get(key, BUILT_IN)

    def owns(self, host: str, port: int) -> bool:
        """Whether the user declared this destination as theirs, so that a wide scan may go there."""
        name = host.lower().rstrip(".")
        return not {name, join_host_port(name, port)}.isdisjoint(self.destinations)

    def items(self) -> Iterator[tuple["Key", Any]]:
        """Each key with its value, in the order of the manual."""
        for key in KEYS:
            yield key, getattr(self, key.attribute)


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its name in files, its place in Settings, how text or TOML becomes its value, what is valid."""

    name: str
    attribute: str
    parse: Callable[[Any], Any]
    valid: str

    @property
    def variable(self) -> str:
        return f"EXITPIN_{self.name.upper()}"


def load_settings(
    env: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    system_file: Path = SYSTEM_FILE,
) -> Settings:
    """The settings in force. `overrides`: what the command line gave, by key; None means that it was not given.

    Raises OperatorError with a line for each key that is unknown or has a bad value, over all files and variables.
    """
    found: dict[str, tuple[Any, str]] = {}
    layers: list[Params] = []
    origins: dict[str, str] = {}
    wrong: list[str] = []
    for path in config_files(env, system_file):
        values, params, errors = _read_file(path)
        found.update({name: (value, str(path)) for name, value in values.items()})
        layers.append(params)
        origins.update({key_of(tool, name): str(path) for tool, table in params.items() for name in table})
        wrong += errors
    for key in KEYS:
        given = [(env.get(key.variable) or None, key.variable), ((overrides or {}).get(key.name), COMMAND_LINE)]
        for raw, origin in given:
            if raw is None:
                continue
            try:
                found[key.name] = (key.parse(raw), origin)
            except ValueError:
                wrong.append(f"{_place(key, origin)}: {raw!r} is not {key.valid}")
    if wrong:
        if len(wrong) == 1:
            raise OperatorError(
                wrong[0] if wrong[0].endswith("?") else f"{wrong[0]}.", "Nothing was started.", EXIT_USAGE
            )
        raise OperatorError("\n".join(wrong), "\nNothing was started.", EXIT_USAGE)
    values = {key.attribute: found[key.name][0] for key in KEYS if key.name in found}
    origins.update({name: origin for name, (_, origin) in found.items()})
    return Settings(**values, params=merged(layers), origins=origins)


def config_files(env: Mapping[str, str], system_file: Path = SYSTEM_FILE) -> tuple[Path, ...]:
    """Where settings are looked for, the weaker first (XDG Base Directory: a relative XDG_CONFIG_HOME is ignored)."""
    base = env.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        home = env.get("HOME", "")
        if not home.startswith("/"):
            return (system_file,)
        base = f"{home}/.config"
    return (system_file, Path(base, "exitpin", "config.toml"))


def _place(key: Key, origin: str) -> str:
    return f"--{key.name.replace('_', '-')}" if origin == COMMAND_LINE else origin


def _read_file(path: Path) -> tuple[dict[str, Any], Params, list[str]]:
    """The values of one file, its parameters for tools, and all that is wrong with it; nothing if there is none."""
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}, {}, []
    except OSError as error:
        return {}, {}, [f"{path}: can't be read: {error.strerror}"]
    import tomllib

    try:
        table = tomllib.loads(text.decode())
    except ValueError as error:  # tomllib's own, and bytes that are no UTF-8
        return {}, {}, [f"{path}: not TOML: {error}"]
    params, wrong = read_params(table.pop(PARAMS, {}), str(path))
    values, errors = _validate(path, table)
    return values, params, wrong + errors


def _validate(path: Path, table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    from pydantic import ConfigDict, PlainValidator, ValidationError, create_model

    fields: dict[str, Any] = {key.name: (_annotated(PlainValidator(key.parse)), None) for key in KEYS}
    model = create_model("ConfigFile", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        config = model.model_validate(table)
    except ValidationError as error:
        return {}, [_explain(path, str(each["loc"][0]), each["type"], each["input"]) for each in error.errors()]
    return {name: getattr(config, name) for name in config.model_fields_set}, []


def _annotated(validator: Any) -> Any:
    from typing import Annotated

    return Annotated[Any, validator]


def _explain(path: Path, name: str, kind: str, given: object) -> str:
    from difflib import get_close_matches

    names = [key.name for key in KEYS]
    if kind != "extra_forbidden":
        key = KEYS[names.index(name)]
        return f"{path}: {name}: {given!r} is not {key.valid}"
    near = get_close_matches(name.replace("-", "_"), [*names, PARAMS], 1)
    return f"{path}: {name}: no such key; " + (
        f"did you mean {near[0]}?" if near else f"valid are {', '.join([*names, PARAMS])}"
    )


def _duration_s(least_s: float) -> Callable[[Any], float]:
    def parse(given: Any) -> float:
        seconds = -1.0 if isinstance(given, bool) else duration_s(str(given))
        if not least_s <= seconds <= DAY_S:
            raise ValueError
        return seconds

    return parse


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def parse(given: Any) -> int:
        if isinstance(given, bool) or not re.fullmatch(r"[0-9]{1,6}", str(given)) or not least <= int(given) <= most:
            raise ValueError
        return int(given)

    return parse


def _each(parse_one: Callable[[str], str]) -> Callable[[Any], tuple[str, ...]]:
    def parse(given: Any) -> tuple[str, ...]:
        words = given.replace(",", " ").split() if isinstance(given, str) else given
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            raise ValueError
        return tuple(dict.fromkeys(parse_one(word) for word in words))

    return parse


def _one_of(*words: str) -> Callable[[Any], str]:
    return lambda given: words[words.index(given)]  # a ValueError for any other


def _fingerprint(given: str) -> str:
    match = _FINGERPRINT.fullmatch(given)
    if match is None:
        raise ValueError
    return match[1].upper()


def _destination(given: str) -> str:
    """`host`, `host:port`, an IPv6 address, or `[address]:port`, in one spelling."""
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?", given)
    host = (match[1] or match[2]) if match else given
    port = int(match[3]) if match and match[3] else None
    if ":" in host:
        host = str(ipaddress.IPv6Address(host))
    elif not _HOST_NAME.fullmatch(host) or (match and match[1]):
        raise ValueError
    if port is not None and not 1 <= port <= 65535:
        raise ValueError
    host = host.lower().rstrip(".")
    return host if port is None else join_host_port(host, port)


def _text(given: Any) -> str:
    if not isinstance(given, str) or not given.isprintable() or len(given) > 200:
        raise ValueError
    return given


def _file(given: Any) -> str:
    if not _text(given).startswith("/"):
        raise ValueError
    return str(given)


def _control(given: Any) -> str:
    text = _text(given)
    if not text.startswith("/") and not re.search(r"[^:]:\d+$", _destination(text)):
        raise ValueError
    return text


KEYS = (
    Key("first_hops", "first_hops", _each(_fingerprint), "a list of relay fingerprints, 40 hex digits each"),
    Key("first_hops_fallback", "first_hops_fallback", _one_of(*FALLBACKS), '"none" or "guards"'),
    Key("build_delay", "build_delay_s", _duration_s(0), 'a time up to a day, such as "3s", "500ms" or 3.0'),
    Key("build_jitter", "build_jitter_s", _duration_s(0), 'a time up to a day, such as "1s", "500ms" or 1.0'),
    Key("rate", "rate", rate_of, 'runs in a time, such as "20/m" (s, m or h)'),
    Key("per_destination", "per_destination", rate_of, 'runs in a time, such as "120/h" (s, m or h)'),
    Key("timeout", "timeout_s", _duration_s(0.001), 'a time up to a day, more than nothing, such as "90s" or 90'),
    Key("jobs", "jobs", _whole(1, 1000), "a whole number from 1 to 1000"),
    Key("hops", "hops", _whole(2, 8), "a whole number from 2 to 8"),
    Key("network_wait", "network_wait_s", _duration_s(0), 'a time up to a day, such as "10m", "90s" or 90'),
    Key("destinations", "destinations", _each(_destination), 'a list of "host" or "host:port"'),
    Key("control", "control", _control, 'a control port, "host:port" or the path of a socket'),
    Key("as_file", "as_file", _file, "the path of a file, from / on"),
)
