"""The form of a tool's file, as pydantic models: which tables there are, which keys, of which types.

Strict, and an unknown key is an error. What the parts mean to one another is `tool_checks.py`'s; how errors are told
is `tool_schema.py`'s, which alone calls this. TOML keys that Python reserves (`from`, `in`) are aliases.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from ..orchestrator.audit.param_types import duration_s

_SIZE = re.compile(r"(\d{1,12}) ?(B|KiB|MiB|GiB|kB|MB|GB)?")
_SIZES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1000, "MB": 10**6, "GB": 10**9}
UNLIMITED = "unlimited"
KEPT_MAX = 64 << 20  # bytes: no piece of evidence is larger (results/blobs.py)


class Form(BaseModel):
    """A table. `model_fields` also serves the messages: its `description` is an example of a value."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


def _duration(given: Any) -> float:
    if not isinstance(given, bool) and isinstance(given, str | int | float):
        try:
            return duration_s(str(given))
        except ValueError:
            pass
    raise ValueError('must be a time such as "45s", "500ms" or 2.5 (seconds)')


def _positive(given: Any) -> float:
    if (seconds := _duration(given)) > 0:
        return seconds
    raise ValueError("must be more than nothing")


def _size(given: Any) -> int:
    match = None if isinstance(given, bool) else _SIZE.fullmatch(str(given))
    if match is None or not isinstance(given, str | int):
        raise ValueError('must be a size such as "256KiB", "2MiB" or 65536 (bytes)')
    return int(match[1]) * _SIZES[match[2] or ""]


def _kept_size(given: Any) -> int:
    if (size_bytes := _size(given)) <= KEPT_MAX:
        return size_bytes
    raise ValueError(f"must be at most {KEPT_MAX >> 20}MiB, as large as a piece of evidence can be")


def _or_unlimited(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parse_limit(given: Any) -> Any:
        if given == UNLIMITED:
            return None
        try:
            return parse(given)
        except ValueError as error:
            raise ValueError(f'{error}, or "{UNLIMITED}"') from None

    return parse_limit


def _count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= 100_000:
        raise ValueError("must be a whole number from 1 to 100000")
    return given


def as_text(given: object) -> str:
    """A scalar as a run sees it: `true`, `443`, the text."""
    return str(given).lower() if isinstance(given, bool) else str(given)


def _scalar_text(given: Any) -> str:
    if not isinstance(given, str | int | float):
        raise ValueError("must be a text, a number, true or false")
    return as_text(given)


def _default(given: Any) -> str:
    if isinstance(given, list):
        return ",".join(map(_scalar_text, given))
    return _scalar_text(given)


def _operand(given: Any) -> Any:
    """A scalar as it is, a list as texts."""
    if isinstance(given, list):
        if not given:
            raise ValueError("the list is empty, so it could match nothing; name at least one value")
        return tuple(map(_scalar_text, given))
    if not isinstance(given, str | int | float):
        raise ValueError("must be a text, a number, true, false, or a list of these")
    return given


def _list_operand(given: Any) -> Any:
    if not isinstance(given, list):
        text = f'"{given}"' if isinstance(given, str) else as_text(given)
        raise ValueError(f"must be a list; write [{text}]" if len(text) <= 40 else "must be a list")
    return _operand(given)


def _number(given: Any) -> Any:
    if isinstance(given, bool) or not (isinstance(given, int | float) or (isinstance(given, str) and "{{" in given)):
        raise ValueError("must be a number (or a text with the placeholder of one)")
    return given


Duration = Annotated[Any, PlainValidator(_duration)]
Positive = Annotated[Any, PlainValidator(_positive)]
KeptSize = Annotated[Any, PlainValidator(_kept_size)]
Text = Annotated[Any, PlainValidator(_scalar_text)]
Default = Annotated[Any, PlainValidator(_default)]
Operand = Annotated[Any, PlainValidator(_operand)]
ListOperand = Annotated[Any, PlainValidator(_list_operand)]
Number = Annotated[Any, PlainValidator(_number)]


class RequirementForm(Form):
    argv: list[str] = Field(default=[], description='["openssl", "version"]')
    stream: Literal["stdout", "stderr"] = "stdout"
    regex: str = Field(default="", description=r"'^OpenSSL (\S+)'")
    minimum: str = Field(default="", alias="min", description='"1.1.1"')
    maximum: str = Field(default="", alias="max", description='"3.5"')


class ParamForm(Form):
    type: Literal[
        "str", "int", "float", "bool", "host", "ip", "port", "url", "path", "enum", "duration", "fingerprint"
    ] = "str"
    default: Default | None = None
    lab: Default | None = None
    choices: list[Text] = Field(default=[], description='["a", "b"]')
    pattern: str = ""
    is_list: bool = Field(default=False, alias="list", description="true")
    secret: bool = Field(default=False, description="true")
    schemes: list[str] = Field(default=[], description='["http", "https"]')
    help: str = ""


class DoorForm(Form):
    host: str = Field(default="", description='"{{host}}"')
    port: Text = Field(default="", description='"{{port}}"')
    url: str = Field(default="", description='"{{url}}"')


class LimitsForm(Form):
    stdout: KeptSize = 256 << 10
    stderr: KeptSize = 64 << 10
    artifacts: KeptSize = 2 << 20
    memory: Annotated[Any, PlainValidator(_or_unlimited(_size))] = 512 << 20
    cpu: Annotated[Any, PlainValidator(_or_unlimited(_positive))] = 20.0
    procs: Annotated[Any, PlainValidator(_or_unlimited(_count))] = 32


class NetworkForm(Form):
    allow: Literal["destinations"] = "destinations"
    udp: Literal["deny"] = "deny"
    listen: Literal["deny"] = "deny"
    dns: Literal["mapped", "exit"] = "mapped"


class RunForm(Form):
    argv: list[str] = Field(description='["curl", "-qsS", "{{url}}"]')
    stdin: str = ""
    env: dict[str, str] = Field(default={}, description='{ LC_ALL = "C" }')
    cwd: str = ""
    timeout: Positive = 45.0
    kill_after: Duration = 2.0
    retries: int = Field(default=2, ge=0, le=20, description="2")
    ok_codes: list[Annotated[int, Field(ge=0, le=255)]] = Field(default=[0], description="[0]")
    limits: LimitsForm = Field(default_factory=LimitsForm)
    network: NetworkForm = Field(default_factory=NetworkForm)
    containment: Literal["shim", "guard", "notify"] = "shim"


class ExtractForm(Form):
    source: str = Field(default="stdout", alias="from", description='"stdout"')
    regex: str | None = Field(default=None, description=r"'status: (\w+)'")
    pointer: str | None = Field(default=None, alias="json", description='"/http_code"')
    pem: str | None = Field(default=None, description='"CERTIFICATE"')
    lines: bool | None = Field(default=None, description="true")
    form: Literal["text", "sha256", "size", "set"] = Field(default="text", alias="as")
    every: bool | None = Field(default=None, alias="all", description="true")
    type: Literal["str", "int", "float", "bool"] = "str"
    filter: list[str] = Field(default=[], description='["openssl", "x509", "-noout", "-subject"]')


class ConditionForm(Form):
    """`field` with one matcher, or one subject of the run by itself: `{ exit_code = [5, 6] }`."""

    field: str | None = Field(default=None, description='"chain.0"')
    is_: Operand = Field(default=None, alias="is")
    not_: Operand = Field(default=None, alias="not")
    in_: ListOperand = Field(default=None, alias="in", description='["a", "b"]')
    matches: str | None = Field(default=None, description="'^https://'")
    absent: bool | None = Field(default=None, description="true")
    empty: bool | None = Field(default=None, description="true")
    gt: Number = None
    lt: Number = None
    in_cidr: Operand = Field(default=None, description='["192.0.2.0/24"]')
    differs: bool | None = Field(default=None, description="true")
    adds: bool | None = Field(default=None, description="true")
    missing: bool | None = Field(default=None, description="true")
    exit_code: Operand = Field(default=None, description="[5, 6]")
    signal: Operand = Field(default=None, description="9")
    timed_out: bool | None = Field(default=None, description="true")
    failure: Operand = Field(default=None, description='["dns"]')


RuleStatus = Literal["ok", "tampered", "suspect", "broken", "error"]
StatusWord = Literal["ok", "tampered", "suspect", "broken", "error", "skipped"]


class RuleForm(Form):
    status: RuleStatus = Field(description='"tampered"')
    when: list[ConditionForm] | None = Field(default=None, description='[{ field = "rcode", differs = true }]')
    any_: list[ConditionForm] | None = Field(
        default=None, alias="any", description="[{ exit_code = 1 }, { timed_out = true }]"
    )
    reason: str = ""


class BaselineForm(Form):
    mode: Literal["none", "pinned", "exits", "direct", "direct+exits"] = "exits"
    exits: int = Field(default=3, ge=1, le=50, description="3")
    quorum: int | None = Field(default=None, ge=1, le=50, description="2")
    max_age: Positive = 900.0
    distinct: list[Literal["family", "subnet"]] = Field(
        default=["family", "subnet"], description='["family", "subnet"]'
    )
    pins: dict[str, Text] = Field(default={}, description='{ code = "301" }')


class ConfirmForm(Form):
    runs: int = Field(default=2, ge=1, le=20, description="2")
    statuses: list[Literal["tampered", "suspect", "broken"]] = Field(
        default=["tampered", "suspect", "broken"], description='["tampered"]'
    )
    new_circuit: bool = Field(default=True, description="true")
    recheck_baseline: bool = Field(default=True, description="true")


class ControlForm(Form):
    stdout: str = ""
    exit_code: int = Field(default=0, description="0")
    artifacts: dict[str, str] = Field(default={}, description='{ body = "fixtures/body.html" }')
    facts: str = ""


def _control(given: Any) -> Any:
    """A file name stands for a control that printed it."""
    return {"stdout": given} if isinstance(given, str) else given


class FixtureForm(Form):
    expect: StatusWord = Field(description='"tampered"')
    stdout: str = ""
    stderr: str = ""
    exit_code: int = Field(default=0, description="0")
    failure: Text = Field(default="", description='"refused"')
    artifacts: dict[str, str] = Field(default={}, description='{ body = "fixtures/body.html" }')
    facts: str = ""
    control: Annotated[ControlForm | None, BeforeValidator(_control)] = Field(
        default=None, description='"fixtures/honest.txt"'
    )
    params: dict[str, Text] = {}


class ToolForm(Form):
    schema_: Literal["exitpin.tool/1"] = Field(alias="schema", description='"exitpin.tool/1"')
    id: str = Field(description='"my-check"')
    summary: str = Field(description='"Is the answer changed on the way?"')
    description: str = ""
    severity: Literal["info", "low", "medium", "high", "critical"] = "high"
    tags: list[str] = Field(default=[], description='["http"]')
    authors: list[str] = Field(default=[], description='["you@example.org"]')
    references: list[str] = Field(default=[], description='["https://example.org/"]')
    by_hand: list[Text] = Field(default=[], description='["openssl", "s_client", "-connect", "{{host}}:{{port}}"]')
    requires: dict[str, RequirementForm] = Field(default={}, description='{ curl = { argv = ["curl", "--version"] } }')
    params: dict[str, ParamForm] = Field(default={}, description='{ host = { type = "host" } }')
    destination: list[DoorForm] = Field(default=[], description='[{ host = "{{host}}", port = "{{port}}" }]')
    select: Literal["all", "any"] = "all"
    run: RunForm = Field(description='{ argv = ["curl", "-qsS", "{{url}}"], timeout = "45s" }')
    extract: dict[str, ExtractForm] = Field(
        default={}, description='{ code = { from = "stdout", json = "/http_code" } }'
    )
    baseline: BaselineForm = Field(default_factory=BaselineForm)
    confirm: ConfirmForm = Field(default_factory=ConfirmForm)
    keep: dict[str, Literal["never", "on-finding", "always"]] = Field(
        default={}, description='{ stdout = "on-finding" }'
    )
    redact: list[str] = Field(default=[], description="['(?i)^cookie: .*$']")
    verdict: list[RuleForm] = Field(description='[{ status = "ok" }]')
    test: list[FixtureForm] = Field(default=[], description='[{ stdout = "fixtures/ok.txt", expect = "ok" }]')
