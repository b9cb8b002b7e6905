"""What the parts of a tool's file mean to one another: names that nobody declared, rules that can never be reached,
patterns that are none, comparisons with controls that are not there.

Takes a file whose form is right (`tool_forms.py`) and yields problems; decides nothing else. Rules and their conditions
are `rule_checks.py`'s. Called by `tool_schema.py`.
"""

import re
from collections.abc import Iterator
from itertools import chain

from ..orchestrator.audit.said import EXTRACTS
from ..orchestrator.audit.templates import BUILT_IN, names_in
from ..orchestrator.outcomes import KINDS
from ..orchestrator.tool import RUN_SUBJECTS
from .input_checks import NAME, check_doors, check_doubles, check_params, check_requirements
from .rule_checks import Names, check_pattern, check_rules
from .tool_forms import ExtractForm, FixtureForm, ToolForm
from .tool_problems import Place, Problem, nearest

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_FACT_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "python3", "python", "perl", "env")


def check(form: ToolForm, stem: str, script: str | None, *, is_whole: bool = True) -> Iterator[Problem]:
    """All that is wrong. `stem`: the file's name without its end; `script`: the text of the script that holds the
    table, None for a file of TOML; `is_whole`: no table was lost, so that what is not declared is an error."""
    names = Names(set(form.params), facts_of(form, script), {n for n, p in form.params.items() if p.secret}, is_whole)
    yield from _identity(form, stem)
    yield from check_params(form)
    yield from check_requirements(form)
    yield from _run(form, names, script)
    yield from _parse(form, script)
    for number, text in enumerate(form.by_hand):
        yield from names.check(text, ("by_hand", number))
    yield from check_doors(form, names)
    for name, each in form.extract.items():
        yield from _extract(name, each, form)
    yield from _baseline(form, names)
    yield from check_rules(form, names)
    yield from _unused(form)
    yield from _keep(form)
    for number, pattern in enumerate(form.redact):
        yield from check_pattern(pattern, ("redact", number))
    for number, fixture in enumerate(form.test):
        yield from _fixture(fixture, ("test", number), form, names)


def facts_of(form: ToolForm, script: str | None) -> dict[str, ExtractForm]:
    """The declared facts, and those of a script's rules that the script seems to write by itself."""
    facts = dict(form.extract)
    for name in used_fields(form):
        if script is not None and name not in (*facts, *RUN_SUBJECTS) and writes(script, name):
            facts[name] = ExtractForm.model_validate({"from": "facts"})
    return facts


def used_fields(form: ToolForm) -> list[str]:
    """The facts that rules look at or mention."""
    fields = [
        condition.field.partition(".")[0]
        for rule in form.verdict
        for condition in (*(rule.when or ()), *(rule.any_ or ()))
        if condition.field
    ]
    mentioned = [name for rule in form.verdict for name in names_in(rule.reason) if name not in BUILT_IN]
    fields += [name.partition(".")[0] for name in mentioned if name.partition(".")[0] not in form.params]
    return list(dict.fromkeys(field for field in fields if _FACT_NAME.fullmatch(field)))


def writes(script: str, name: str) -> bool:
    """Whether the code of a script has NAME=, or the name in quotes: then it may write the fact."""
    code = re.sub(r"(?m)^#.*$", "", script)
    return re.search(rf"(?<![\w.-]){re.escape(name)}=|[\"']{re.escape(name)}[\"']", code) is not None


def _identity(form: ToolForm, stem: str) -> Iterator[Problem]:
    if not _ID.fullmatch(form.id):
        yield Problem(("id",), "must be of a-z, 0-9 and '-' (64 at most), and begin with one of the former two")
    elif stem and form.id != stem:
        yield Problem(("id",), f'"{form.id}" is not the file\'s name; write id = "{stem}", or rename the file')
    if not form.summary.strip():
        yield Problem(("summary",), 'is empty; write the question that the tool asks, "Is ... changed on the way?"')
    for key in ("tags", "authors", "references"):
        yield from check_doubles(getattr(form, key), (key,))
    for number, tag in enumerate(form.tags):
        if not _ID.fullmatch(tag):
            yield Problem(("tags", number), f'"{tag}" must be of a-z, 0-9 and "-": it is typed as @tag')


def _run(form: ToolForm, names: Names, script: str | None) -> Iterator[Problem]:
    argv, place = form.run.argv, ("run", "argv")
    if not argv or not argv[0]:
        yield Problem(place, 'names no program; write e.g. argv = ["curl", "-qsS", "{{url}}"]')
        return
    program = argv[0].rpartition("/")[2]
    if len(argv) == 1 and " " in argv[0]:
        words = ", ".join(f'"{word}"' for word in argv[0].split())
        yield Problem((*place, 0), f"is one program's name with blanks in it, and no shell reads it; write [{words}]")
    elif "{{" not in argv[0] and "/" not in argv[0] and argv[0] not in ("sh", *form.requires):
        text = f"{argv[0]} is not required; write requires.{program} = {{}}, so that its absence is no error"
        yield Problem(place, text, True)
    texts: list[tuple[Place, str]] = [(("run", "argv", number), text) for number, text in enumerate(argv)]
    texts += [(("run", "env", name), text) for name, text in form.run.env.items()]
    texts += [(("run", "stdin"), form.run.stdin), (("run", "cwd"), form.run.cwd)]
    for at, text in texts:
        yield from names.check(text, at)
        if "\0" in text and at != ("run", "stdin"):
            yield Problem(at, "holds a NUL, which no argument can")
        if script is None and "script" in names_in(text):
            hint = "write {{tool_dir}}/scripts/NAME"
            yield Problem(at, f"{{{{script}}}} is for scripts that hold their own table; {hint}")
    for number, text in enumerate(argv[1:], 1):
        if program in _SHELLS and argv[number - 1] in ("-c", "-e") and set(names_in(text)) & names.params:
            yield Problem((*place, number), 'a value would become code; pass it as an argument and use "$1"')
    for name in form.run.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            yield Problem(("run", "env", name), "is no name of a variable")
        elif re.match(r"EXITPIN|LD_", name) or name.lower().endswith("_proxy"):
            yield Problem(("run", "env", name), "is set by exitpin, or would lead past it; leave it out")


def _parse(form: ToolForm, script: str | None) -> Iterator[Problem]:
    """Whether one of the two judges: the tool for itself, or the rules of its file."""
    parse = form.run.parse
    if parse and form.verdict:
        yield Problem(("verdict",), f'is for what does not judge for itself; leave it out, or run.parse = "{parse}"')
    for read in EXTRACTS.get(parse or "", ()):
        if read.name in form.extract:
            yield Problem(("extract", read.name), f'is read by run.parse = "{parse}" already; take another name')
    if script is not None and parse != "status" and re.search(r"(?m)^[^#\n]*\bexitpin verdict\b", script):
        yield Problem(
            ("run", "parse"), 'nobody reads what the script says by `exitpin verdict`; write parse = "status"'
        )


def _extract(name: str, each: ExtractForm, form: ToolForm) -> Iterator[Problem]:
    place = ("extract", name)
    if not NAME.fullmatch(name) or name in (*BUILT_IN, *RUN_SUBJECTS):
        yield Problem(place, "a fact's name is of letters, digits, '_' and '-', and no name that every run has")
    kind, _, file = each.source.partition(":")
    if each.source not in ("stdout", "stderr", "facts") and (kind != "artifact" or not file):
        hint = nearest(each.source, ("stdout", "stderr", "facts", "artifact:NAME"))
        yield Problem((*place, "from"), f'"{each.source}" is no source; {hint}')
    elif file and ("/" in file or file in (".", "..")):
        yield Problem((*place, "from"), f'"{file}" must be the name of a file in the artifacts itself, without "/"')
    hows = [key for key, value in _hows(each).items() if value is not None]
    if len(hows) > 1:
        yield Problem(place, f"has {' and '.join(hows)}; keep one of them")
    if each.source == "facts":
        for key in (*hows, *(["filter"] if each.filter else [])):
            yield Problem((*place, key), "is for bytes, and facts are values already; leave it out")
        if not _FACT_NAME.fullmatch(name):
            yield Problem(place, "a fact that a tool emits is named with a-z, 0-9, '_' and '-'")
    if each.lines is False:
        yield Problem((*place, "lines"), "can only be true; leave it out otherwise")
    if each.every and not hows:
        yield Problem((*place, "all"), "is for regex and json; say with one of them what to find")
    if each.every is False and (each.pem is not None or each.lines):
        yield Problem((*place, "all"), f'{hows[0]} always yields all; compare one of them with field = "{name}.0"')
    if each.type != "str" and (is_listed(each) or each.form != "text"):
        yield Problem((*place, "type"), "is for a single text; leave it out, or leave out `all` and `as`")
    if each.regex is not None:
        yield from check_pattern(each.regex, (*place, "regex"), is_empty_wrong=True)
    if each.pointer is not None and each.pointer != "" and not each.pointer.startswith("/"):
        yield Problem((*place, "json"), f'is a JSON pointer (RFC 6901) and begins with "/"; write "/{each.pointer}"')
    if each.pem is not None and not re.fullmatch(r"[A-Z0-9][A-Z0-9 ]*", each.pem):
        yield Problem((*place, "pem"), 'is the label after "-----BEGIN"; write e.g. pem = "CERTIFICATE"')
    if each.fold is not False:
        yield from _fold(each, (*place, "fold"))
    for number, part in enumerate(each.filter):
        if names_in(part):
            yield Problem((*place, "filter", number), "a filter sees only the bytes; it has no placeholders")


def _fold(each: ExtractForm, place: Place) -> Iterator[Problem]:
    """Whether the fact is texts, and what is to be folded in them a pattern."""
    is_whole = each.source != "facts" and all(value is None for value in _hows(each).values())
    if each.pem is not None or each.type != "str" or each.form == "size":
        yield Problem(place, "is for texts, in which capitals and blanks may not count; leave it out")
    elif is_whole and each.form == "sha256":
        yield Problem(place, "is for texts, and this is a digest of bytes; say with regex or lines what to find")
    if isinstance(each.fold, str):
        yield from check_pattern(each.fold, place, is_empty_wrong=True)


def _hows(each: ExtractForm) -> dict[str, object]:
    return {"regex": each.regex, "json": each.pointer, "pem": each.pem, "lines": each.lines}


def is_listed(each: ExtractForm) -> bool:
    """Whether the fact is several texts."""
    several = each.every or each.form == "set" or each.pem is not None or each.lines
    return bool(several) and each.form != "size"


def _baseline(form: ToolForm, names: Names) -> Iterator[Problem]:
    baseline, place = form.baseline, ("baseline",)
    for name, text in baseline.pins.items():
        at = (*place, "pins", name)
        yield from names.check(text, at)
        if names.is_whole and name not in names.facts:
            yield Problem(at, f"is no extracted fact; {nearest(name, names.facts)}")
    if baseline.mode == "pinned" and not baseline.pins:
        yield Problem((*place, "pins"), 'is missing; write e.g. pins = { code = "301" }')
    if baseline.mode != "pinned" and baseline.pins:
        yield Problem((*place, "pins"), f'is for mode = "pinned", and this is "{baseline.mode}"')
    vantages = baseline.exits + (baseline.mode == "direct+exits")
    if baseline.mode in ("exits", "direct+exits") and (baseline.quorum or 2) > vantages:
        text = f"{baseline.quorum or 2} controls can never agree when {vantages} are asked; ask more exits"
        yield Problem((*place, "exits" if baseline.quorum is None else "quorum"), text)
    if baseline.quorum == 1 and baseline.mode != "pinned":
        yield Problem((*place, "quorum"), "one control alone may be the liar; 2 is the least that says something", True)


def _unused(form: ToolForm) -> Iterator[Problem]:
    if form.run.parse:
        return
    used = {*used_fields(form), *form.baseline.pins, *form.keep}
    fields = [c.field or "" for r in form.verdict for c in chain(r.when or (), r.any_ or ())]
    used |= {field.partition(".")[0] for field in fields}
    used |= {name.partition(".")[0] for rule in form.verdict for name in names_in(rule.reason)}
    for name in form.extract:
        if name not in used:
            yield Problem(("extract", name), "is used by no rule and no reason; it is only recorded", True)


def _keep(form: ToolForm) -> Iterator[Problem]:
    files = [each.source for each in form.extract.values() if each.source.startswith("artifact:")]
    valid = list(dict.fromkeys(["stdout", "stderr", "artifacts", "facts", "pem", *files]))
    for name in form.keep:
        if name not in (*valid, *form.extract) and not re.fullmatch(r"artifact:[^/\0]+", name):
            yield Problem(("keep", name), f"is nothing that can be kept; {nearest(name, [*valid, *form.extract])}")


def _fixture(fixture: FixtureForm, place: Place, form: ToolForm, names: Names) -> Iterator[Problem]:
    control = fixture.control
    files: list[tuple[Place, str]] = [((*place, key), getattr(fixture, key)) for key in ("stdout", "stderr", "facts")]
    files += [((*place, "artifacts", name), file) for name, file in fixture.artifacts.items()]
    if control is not None:
        files += [((*place, "control"), file) for file in (control.stdout, control.facts, *control.artifacts.values())]
    for at, file in files:
        if file.startswith("/") or ".." in file.split("/"):
            yield Problem(at, f'"{file}" must be a file beside the tool\'s; write e.g. "fixtures/ok.txt"')
    if control is not None and form.baseline.mode == "none":
        yield Problem((*place, "control"), 'there are no controls with baseline.mode = "none"; leave it out')
    if fixture.failure and fixture.failure not in KINDS:
        yield Problem(
            (*place, "failure"), f'"{fixture.failure}" is no kind of failure; {nearest(fixture.failure, KINDS)}'
        )
    for name in fixture.params:
        if name not in form.params:
            yield Problem((*place, "params", name), f"is no parameter; {nearest(name, form.params)}")
