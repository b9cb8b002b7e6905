"""Ways to get a tool's file wrong, and what is then said: a line of TOML, and below it the beginning of the answer.

A line `when = ...` or `any = ...` is the condition of a tampered rule; `- KEY` leaves the key out.
"""

_ERRORS = r"""
- schema
    schema: is missing; write schema = "exitpin.tool/1" at the top
schema = "nuclei/3"
    schema: "nuclei/3" is not a schema that this version reads; write schema = "exitpin
schema = 1
    schema: 1 is not a schema
- id
    id: is missing; write e.g. id = "my-check"
- summary
    summary: is missing; write e.g. summary = "Is the answer
- run
    run: is missing; write e.g. run = { argv =
- verdict
    verdict: is missing; write e.g. verdict = [{
id = "Probe_1"
    id: must be of a-z, 0-9 and '-'
id = "other"
    id: "other" is not the file's name; write id = "probe"
summary = ""
    summary: is empty
summary = 3
    summary: must be a text, not 3; write e.g. summary =
tags = "web"
    tags: must be a list, not "web"; write e.g. tags = ["http"]
tags = ["web", 3]
    tags[1]: must be a text, not 3
tags = ["web", "web"]
    tags[1]: "web" stands there twice
severity = "hihg"
    severity: "hihg" is not valid; did you mean "high"? Valid are info, low, medium, high
colour = "red"
    colour: no such key; valid are schema, id, summary
verdicts = []
    verdicts: no such key; did you mean "verdict"?
timeout = "3s"
    timeout: no such key here; did you mean "run.timeout"?
command = "curl"
    command: no such key; did you mean "run.argv"?
run.retrys = 3
    run.retrys: no such key; did you mean "retries"? Valid are argv, stdin
run.limits = { cpus = 3 }
    run.limits.cpus: no such key; did you mean "cpu"?
params.url = { kind = 'url' }
    params.url.kind: no such key; valid are type, default, lab
extract.code = { from = 'stdout', regexp = 'x' }
    extract.code.regexp: no such key; did you mean "regex"?
when = [{ field = 'code', equals = 3 }]
    verdict[0].when[0].equals: no such key; did you mean "is"
params.exit_code = {}
    params.exit_code: "exit_code" is what every run has already
params.code = {}
    params.code: "code" is also an extracted fact
params.a = { type = 'prot' }
    params.a.type: "prot" is not valid; did you mean "port"?
params.a = { type = 'port', default = 70000 }
    params.a.default: must be a port from 1 to 65535, not "70000"
params.a = { type = 'host', lab = '-x' }
    params.a.lab: must be a host name or an IP address
params.a = { type = 'port', list = true, default = [80, 0] }
    params.a.default: must be a port from 1 to 65535, not "0"
params.a = { type = 'enum' }
    params.a.choices: is missing; write e.g. choices = ["a", "b"]
params.a = { choices = ['x'], default = 'y' }
    params.a.default: must be one of x, not "y"
params.a = { pattern = '[0-9]+', default = 'y' }
    params.a.default: must be a text that matches [0-9]+
params.a = { pattern = '(' }
    params.a.pattern: is no regular expression
params.a = { schemes = ['http'] }
    params.a.schemes: is for type = "url"
params.a = { type = 'url', schemes = ['https'], default = 'http://x.example/' }
    (scheme https)
params.a = { default = '{{nonec}}' }
    params.a.default: must be a text without {{nonec}}, which no run knows
params.a = { default = { x = 1 } }
    params.a.default: must be a text, a number, true or false, not a table
requires.dig = { regex = 'x' }
    requires.dig.argv: is missing: what prints it? Write argv = ["dig", "--version"]
requires.dig = { argv = ['dig'], min = '9' }
    requires.dig.regex: is missing: min needs the version
requires.dig = { argv = ['dig'], regex = 'DiG', min = '9' }
    requires.dig.regex: has no group for the version
requires.dig = { stream = 'stdin' }
    requires.dig.stream: "stdin" is not valid
run.argv = []
    run.argv: names no program
run.argv = 'curl x'
    run.argv: must be a list, not "curl x"; write e.g. argv = ["curl"
run.argv = ['curl -s x']
    run.argv[0]: is one program's name with blanks in it, and no shell reads it
run.argv = ['curl', '{{ulr}}']
    run.argv[1]: nothing is named {{ulr}}; did you mean "url"?
run.argv = ['curl', '{{code}}']
    run.argv[1]: {{code}} is known only after the run; use it in a reason
run.argv = ['sh', '-c', 'curl {{url}}']
    run.argv[2]: a value would become code; pass it as an argument
run.argv = ['{{script}}']
    run.argv[0]: {{script}} is for scripts that hold their own table; write {{tool_dir}}
run.timeout = 'soon'
    run.timeout: must be a time such as "45s", "500ms" or 2.5 (seconds), not "soon"
run.timeout = 0
    run.timeout: must be more than nothing
run.limits = { stdout = '1 MB/s' }
    run.limits.stdout: must be a size such as "256KiB"
run.limits = { artifacts = '65MiB' }
    run.limits.artifacts: must be at most 64MiB, as large as a piece of evidence can be, not "65MiB"
run.limits = { stdout = 67108865 }
    run.limits.stdout: must be at most 64MiB
run.limits = { stderr = '1GB' }
    run.limits.stderr: must be at most 64MiB
run.limits = { procs = 0 }
    run.limits.procs: must be a whole number from 1 to 100000, or "unlimited", not 0
run.retries = 99
    run.retries: must be at most 20, not 99
run.ok_codes = [256]
    run.ok_codes[0]: must be at most 255, not 256
run.env = { LD_PRELOAD = 'x' }
    run.env.LD_PRELOAD: is set by exitpin, or would lead past it
run.env = { https_proxy = 'x' }
    run.env.https_proxy: is set by exitpin, or would lead past it
run.network = { udp = 'allow' }
    run.network.udp: "allow" is not valid; valid are deny
run.containment = 'strict'
    run.containment: "strict" is not valid; valid are shim, guard, notify
destination = [{ host = 'a.example' }]
    destination[0].port: is missing
destination = [{ url = '{{url}}', port = 80 }]
    destination[0]: has a url and a host or port
destination = [{ host = 'a.example', port = 'http' }]
    destination[0]: is no destination: a port from 1
destination = [{ host = '{{url}}', port = 80 }]
    destination[0].host: url is of type url, and a host is of type
destination = [{ host = 'a.example', port = '{{nonce}}' }]
    destination[0].port: is known only in the run
destination = [{ host = '{{token}}', port = 443 }]
    destination[0].host: {{token}} is a secret, and tor's lines, which are kept as evidence, name every destination
destination = [{ host = '{{token}}.web.example', port = 443 }]
    destination[0].host: {{token}} is a secret
destination = [{ host = 'web.example', port = '{{token}}' }]
    destination[0].port: {{token}} is a secret
destination = [{ url = 'http://web.example/{{token}}' }]
    take it out of here (of a url only host and port count), or take out params.token.secret
destination = [{ url = '{{url}}' }, { url = '{{url}}' }]
    destination[1]: stands there twice
extract.code = { from = 'stdin' }
    extract.code.from: "stdin" is no source; valid are stdout, stderr, facts, artifact:NAME
extract.code = { from = 'artifact:../x' }
    extract.code.from: "../x" must be the name of a file
extract.code = { regex = 'x', json = '/x' }
    extract.code: has regex and json; keep one of them
extract.code = { regex = '(' }
    extract.code.regex: is no regular expression: missing )
extract.code = { regex = '' }
    extract.code.regex: is empty, and would match anything
extract.code = { json = 'a/b' }
    extract.code.json: is a JSON pointer (RFC 6901) and begins with "/"; write "/a/b"
extract.code = { pem = '-----BEGIN X' }
    extract.code.pem: is the label after "-----BEGIN"
extract.code = { lines = true, type = 'int' }
    extract.code.type: is for a single text
extract.code = { from = 'facts', regex = 'x' }
    extract.code.regex: is for bytes, and facts are values already
extract.code = { as = 'md5' }
    extract.code.as: "md5" is not valid; valid are text, sha256, size, set
extract.code = { filter = ['jq', '{{url}}'] }
    extract.code.filter[1]: a filter sees only the bytes
verdict = []
    verdict: is empty: nothing would be judged
verdict = [{ when = [] }]
    verdict[0].status: is missing; write e.g. status = "tampered"
when = []
    verdict[0].when: is empty and asserts nothing; leave when out
verdict = [{ status = 'tampered', reason = 'x' }]
    verdict[0]: tampered without a condition accuses whatever went wrong
when = [{ }]
    verdict[0].when[0]: is empty; write e.g. { field
when = [{ field = 'code' }]
    verdict[0].when[0]: has no matcher; valid are is, not, in
when = [{ differs = true }]
    verdict[0].when[0].field: is missing: differs of what?
when = [{ field = 'code', gt = 1, lt = 3 }]
    verdict[0].when[0]: has gt and lt; write a condition
when = [{ field = 'code', is = 1, exit_code = 3 }]
    verdict[0].when[0]: asks of field and exit_code
when = [{ field = 'code', in = [] }]
    verdict[0].when[0].in: the list is empty, so it could match
when = [{ field = 'code', in = 3 }]
    verdict[0].when[0].in: must be a list; write [3], not 3
when = [{ field = 'code', matches = '[' }]
    verdict[0].when[0].matches: is no regular expression
when = [{ field = 'kode', is = 3 }]
    verdict[0].when[0].field: "kode" is not extracted; did you mean
when = [{ field = 'code.0', is = 3 }]
    verdict[0].when[0].field: "code" is one value
when = [{ field = 'chain.first', is = 3 }]
    "chain.first": after the dot comes a number
when = [{ field = 'links.0', is = 'x' }]
    "links" is a set and has no order
when = [{ field = 'links', gt = 3 }]
    verdict[0].when[0].gt: "links" is a text
when = [{ field = 'code', gt = 'x' }]
    verdict[0].when[0].gt: must be a number
when = [{ field = 'code', in_cidr = 'x/8' }]
    verdict[0].when[0].in_cidr: 'x/8' does not appear
when = [{ field = 'exit_code', differs = true }]
    exit_code is no fact: controls are compared by
when = [{ exit_code = 300 }]
    verdict[0].when[0].exit_code: must be a whole number up to 255
when = [{ exit_code = [] }]
    verdict[0].when[0].exit_code: the list is empty
when = [{ failure = ['dsn'] }]
    verdict[0].when[0].failure: "dsn" is no kind of failure; did you mean "dns"
any = [{ timed_out = 'yes' }]
    verdict[0].any[0].timed_out: must be true or false, not "yes"
verdict = [{ status = 'bad' }]
    verdict[0].status: "bad" is not valid
verdict = [{ status = 'error', reason = '{{cod}}' }]
    verdict[0].reason: nothing is named {{cod}}; did you mean "code"
verdict = [{ status = 'error', reason = '{{token}}' }]
    verdict[0].reason: {{token}} is a secret
baseline = { mode = 'none' }
    verdict[1].when[0].adds: there are no controls with baseline.mode = "none"
baseline = { mode = 'exist' }
    baseline.mode: "exist" is not valid; did you mean "exits"?
baseline = { mode = 'pinned' }
    baseline.pins: is missing; write e.g. pins = { code = "301" }
baseline = { mode = 'pinned', pins = { code = 3 } }
    verdict[1].when[0].field: "links" has no pin to compare with
baseline = { pins = { code = 3 } }
    baseline.pins: is for mode = "pinned"
baseline = { exits = 2, quorum = 3 }
    baseline.quorum: 3 controls can never agree when 2 are asked
baseline = { exits = 1 }
    baseline.exits: 2 controls can never agree when 1 are asked; ask more exits
confirm = { runs = 0 }
    confirm.runs: must be at least 1, not 0
confirm = { statuses = ['error'] }
    confirm.statuses[0]: "error" is not valid; valid are tampered, suspect, broken
keep = { stdout = 'sometimes' }
    keep.stdout: "sometimes" is not valid; valid are never, on-finding, always
keep = { stdoud = 'never' }
    keep.stdoud: is nothing that can be kept; did you mean "stdout"?
redact = ['a', '(']
    redact[1]: is no regular expression
test = [{ stdout = 'x.txt' }]
    test[0].expect: is missing
test = [{ stdout = '/etc/x', expect = 'ok' }]
    test[0].stdout: "/etc/x" must be a file beside the tool's
test = [{ expect = 'ok', control = { stdin = 'x' } }]
    test[0].control.stdin: no such key
test = [{ expect = 'error', failure = 'dsn' }]
    test[0].failure: "dsn" is no kind of failure; did you mean "dns"?
test = [{ expect = 'ok', params = { ulr = 'x' } }]
    test[0].params.ulr: is no parameter; did you mean "url"?
"""

_WARNINGS = r"""
extract.size = { from = 'artifact:body', as = 'size' }
    extract.size: is used by no rule and no reason
destination = []
    destination: is missing, so the run may open nothing
run.argv = ['wget', '{{url}}']
    run.argv: wget is not required; write requires.wget = {}
params.pass = { secret = true, default = 'hunter2' }
    params.pass.default: a secret that stands in a file
baseline = { quorum = 1 }
    baseline.quorum: one control alone may be the liar
verdict = [{ status = 'ok' }, { status = 'error', reason = 'x' }]
    verdict[1]: is never reached: verdict[0] has
verdict = [{ status = 'error', reason = 'x' }]
    verdict: no rule says ok
verdict = [{ status = 'error', when = [{ timed_out = true }] }, { status = 'ok' }]
    verdict[0].reason: is missing
when = [{ exit_code = 7 }]
    verdict[0]: tampered by what did not come: a dead target looks alike
"""


def _cases(text: str) -> list[tuple[str, str, str]]:
    """The TOML, the key to leave out, and the answer."""
    lines = text.strip().splitlines()
    return [_case(line, answer.strip()) for line, answer in zip(lines[::2], lines[1::2], strict=True)]


def _case(line: str, answer: str) -> tuple[str, str, str]:
    if line.startswith("- "):
        return "", line[2:], answer
    if line.startswith(("when = ", "any = ")):
        return f"verdict = [{{ status = 'tampered', {line}, reason = 'x' }}, {{ status = 'ok' }}]", "", answer
    return line, "", answer


ERRORS = _cases(_ERRORS)
WARNINGS = _cases(_WARNINGS)
