"""The form of a tool's file, as pydantic models: which tables there are, which keys, of which types.

Strict, and an unknown key is an error. Single values are `tool_values.py`'s; what the parts mean to one another is
`tool_checks.py`'s; how errors are told is `tool_schema.py`'s, which alone calls this. TOML keys that Python reserves
(`from`, `in`) are aliases.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from .tool_values import (
    Default,
    Duration,
    Fold,
    KeptSize,
    ListOperand,
    Number,
    Operand,
    Positive,
    Text,
    count,
    or_unlimited,
    positive,
    size,
)


class Form(BaseModel):
    """A table. `model_fields` also serves the messages: its `description` is an example of a value."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


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
    memory: Annotated[Any, PlainValidator(or_unlimited(size))] = 512 << 20
    cpu: Annotated[Any, PlainValidator(or_unlimited(positive))] = 20.0
    procs: Annotated[Any, PlainValidator(or_unlimited(count))] = 32


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
    parse: Literal["status", "tap"] | None = Field(default=None, description='"status"')


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
    fold: Fold = False


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
    verdict: list[RuleForm] = Field(default=[], description='[{ status = "ok" }]')
    test: list[FixtureForm] = Field(default=[], description='[{ stdout = "fixtures/ok.txt", expect = "ok" }]')
