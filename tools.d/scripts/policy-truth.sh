#!/bin/bash
# Does an exit let through what its policy says?
# /// exitpin
# schema = "exitpin.tool/1"
# id = "policy-truth"
# summary = "Does the exit let through the ports that it declares?"
# description = """
# Connects to each of the ports that the exit's own policy allows, and waits for a server to answer there: that a
# connection is open is only the exit's word. An exit that refuses by policy what its descriptor allows breaks its word,
# and so does one that declares all of the ports and reaches only some of those that others reach. A target that nobody
# reaches, or that refuses this exit altogether, says nothing. Servers of HTTP, SSH, SMTP, FTP, IMAP and POP3 are
# understood, and of TLS on the ports that are its own.
# """
# severity = "low"
# tags = ["policy"]
# by_hand = ["nc", "-vz", "-w", "20", "{{host}}", "PORT"]
#
# requires.bash = {}
# requires.openssl = { argv = ["openssl", "version"], regex = '^OpenSSL (\S+)', min = "1.1.1" }
#
# params.host = { type = "host", lab = "web.test", help = "a server of yours that listens on all of the ports" }
# params.ports = { type = "port", list = true, default = [80, 443], lab = [22, 25, 80, 143, 443, 587, 8080] }
# destination = [{ host = "{{host}}", port = "{{ports}}" }]
# select = "any"
#
# run.argv = ["bash", "{{script}}", "{{host}}", "{{exit.ports}}", "{{ports}}"]
# run.timeout = "240s"
#
# extract.open = { from = "artifact:open", lines = true, as = "set" }
# extract.closed = { from = "artifact:closed", lines = true, as = "set" }
# extract.undeclared = { from = "artifact:undeclared", lines = true, as = "set" }
# extract.tried = { from = "facts", type = "int" }
#
# baseline = { mode = "exits", exits = 4, quorum = 2 }
# confirm = { runs = 2 }
#
# verdict = [
#   { status = "error", when = [{ field = "tried", absent = true }], reason = "the ports were not tried to the end" },
#   { status = "error", when = [{ field = "tried", is = 0 }], reason = "the exit declares none of the ports" },
#   { status = "ok", when = [{ field = "closed", absent = true }] },
#   { status = "broken", when = [{ failure = "policy" }], reason = "the exit refuses by policy, against its own descriptor, one of {{closed}}" },
#   { status = "broken", when = [
#     { field = "open", absent = false }, { field = "undeclared", absent = true }, { field = "open", missing = true },
#   ], reason = "the exit declares all ports and reaches {{open}}, but not {{closed}}; controls reach more" },
#   { status = "error", reason = "no answer on {{closed}} ({{failure}}): the target may be down, or refuse this exit's address" },
# ]
#
# test = [
#   { expect = "ok", facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" }, control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" } } },
#   { expect = "ok", facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/80.txt", undeclared = "fixtures/policy-truth/443.txt" }, control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" } } },
#   { expect = "broken", exit_code = 1, failure = "policy", facts = "fixtures/policy-truth/tried.facts", artifacts = { closed = "fixtures/policy-truth/443.txt", open = "fixtures/policy-truth/80.txt" }, control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" } } },
#   { expect = "broken", exit_code = 1, failure = "timeout", facts = "fixtures/policy-truth/tried.facts", artifacts = { closed = "fixtures/policy-truth/443.txt", open = "fixtures/policy-truth/80.txt" }, control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" } } },
#   { expect = "error", exit_code = 1, failure = "refused", facts = "fixtures/policy-truth/tried.facts", artifacts = { closed = "fixtures/policy-truth/443.txt", open = "fixtures/policy-truth/80.txt" }, control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/80.txt" } } },
#   { expect = "error", exit_code = 1, failure = "refused", facts = "fixtures/policy-truth/tried.facts", artifacts = { closed = "fixtures/policy-truth/both.txt" }, control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" } } },
#   { expect = "error", exit_code = 1, control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" } } },
#   { expect = "error", facts = "fixtures/policy-truth/none-tried.facts", control = { facts = "fixtures/policy-truth/tried.facts", artifacts = { open = "fixtures/policy-truth/both.txt" } } },
# ]
# ///
set -u
host=$1
IFS=, read -r -a declared <<<"$2"
IFS=, read -r -a asked <<<"$3"
cd "$EXITPIN_ARTIFACTS" || exit 3

# reaches PORT: whether a server answers there; 124 if that took too long. Most greet; who keeps silent for a while is
# asked as a web server.
reaches() {
    case $1 in
        443 | 465 | 853 | 990 | 993 | 995 | 8443)
            timeout 20 openssl s_client -brief -connect "$host:$1" -servername "$host" </dev/null >"tls.$1" 2>&1
            case $? in 124) return 124 ;; *) grep -q '^Protocol version: TLS' "tls.$1" ;; esac
            ;;
        *) timeout 20 bash -c "$ask" bash "$host" "$1" 2>>errors ;;
    esac
}
ask='
exec 3<>"/dev/tcp/$1/$2" || exit
IFS= read -r -n 80 -t 2 line <&3 || { printf "HEAD / HTTP/1.0\r\n\r\n" >&3; IFS= read -r -n 80 line <&3; }
[[ $line == HTTP/1.* || $line == SSH-* || $line == 220[\ -]* || $line == "* OK"* || $line == +OK* ]]
'

for port in "${asked[@]}"; do
    [[ ",$2," == *",$port,"* ]] || printf '%s\n' "$port" >>undeclared
done
# All at once: an exit that takes long takes it once.
for port in "${declared[@]}"; do
    {
        reaches "$port"
        printf '%s\n' "$?" >"status.$port"
    } &
done
wait
open=() failed=() slow=0
for port in "${declared[@]}"; do
    read -r status <"status.$port"
    case $status in
        0) open+=("$port") ;;
        124) failed+=("$port") slow=$((slow + 1)) ;;
        *) failed+=("$port") ;;
    esac
done
# Again, and as the last thing: what became of a run's last connection is how the run failed. An exit that loses some of
# all connections lets one through in the end.
TRIES=6
reaches_at_last() {
    local try
    for ((try = 0; try < TRIES; try++)); do
        reaches "$1"
        case $? in 0) return 0 ;; 124) return 1 ;; esac
    done
    return 1
}
closed=()
for port in "${failed[@]}"; do
    # Where nothing answers and all of it takes long, the other ports would take long too.
    if ((${#closed[@]} > 0 && ${#open[@]} == 0 && slow > 0)); then
        closed+=("$port")
    elif reaches_at_last "$port"; then
        open+=("$port")
    else
        closed+=("$port")
    fi
done
((${#open[@]} == 0)) || printf '%s\n' "${open[@]}" >open
((${#closed[@]} == 0)) || printf '%s\n' "${closed[@]}" >closed
printf 'tried=%s\n' "${#declared[@]}" >>"$EXITPIN_FACTS"
((${#closed[@]} == 0))
