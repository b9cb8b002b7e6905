"""One finding as a mail, for people who know Tor and have never heard of exitpin: the Tor Project's bad-relays team.

It stands by itself: who, what, when, what it may mean, how to see it again, and by what it is known. Its words never go
further than the verdict: `suspect` has other explanations, `broken` is a fault and says nothing about intent. Pure;
text only, 72 columns (`plain.py`); never sent by itself. Called by `exitpin report email`.
"""

from collections.abc import Iterator

from ..results.due import was_left_open
from .email_proof import evidence, proof, when
from .email_repeat import repeat
from .email_seen import seen
from .fields import Record, items, table, tables, text, whole
from .finding import Finding
from .plain import ascii_text, cut, header, item, paragraph, quotation, rows, section

DOES = {
    "tampered": "changes traffic",
    "suspect": "may change traffic",
    "broken": "does not carry traffic",
}
ABOUT = """\
It was found with exitpin{version}, which runs an ordinary command-line tool through one exit after the other, each run
on a Tor circuit of its own, and compares what comes back."""
QUOTED = "Lines behind >, +, - or = quote what a relay or a server wrote. Odd characters in them are shown as escapes."
TEST_NETWORK = """\
THIS IS NOT ABOUT THE TOR NETWORK. It was found in a private test network on one machine (a lab of exitpin's), whose
relays exist nowhere else. There is nothing to report."""
WHO = """\
Who did it, this does not say: it may be the relay, its provider, the resolver that it asks, or anybody between it and
the server. The operator may not know."""
MEANING = {
    "tampered": (
        """We call it tampering because no honest path does this to what it carries; because it was seen again, on fresh
        circuits through other first hops; and because other exits, asked anew, agree on something else.""",
        WHO,
    ),
    "suspect": (
        """This is no proof of tampering. Other explanations: the server treats this relay's address in another way (a
        captcha, a block page, another country's page); or it has several right answers, and others did not happen to
        get this one (a certificate that was just renewed, a CDN); or it happened once and not again.""",
        f"If it is tampering: {WHO[0].lower()}{WHO[1:]} Please look yourself before anything is done about it.",
    ),
    "broken": (
        """This says that something does not work, and nothing about intent. Possible causes: the relay is overloaded;
        its resolver, or its provider's firewall, is at fault; its exit policy promises more than is let through; or the
        server drops connections from this relay's address.""",
    ),
}


def email(finding: Finding) -> str:
    """The head and the body."""
    lines = [*_head(finding), "", *_opening(finding), *_who(finding), *seen(finding), *when(finding)]
    lines += [*_meaning(finding), *repeat(finding), *proof(finding), *evidence(finding), *_others(finding)]
    return "\n".join(map(ascii_text, lines)).rstrip("\n") + "\n"


def _head(finding: Finding) -> Iterator[str]:
    record = finding.record
    tool = text(table(record, "tool"), "id")
    where = "[test network] " if finding.lab else ""
    yield from header("Subject", f"{where}exit relay {_name(record)} {DOES[finding.status]}: {tool}")
    yield "MIME-Version: 1.0"
    yield "Content-Type: text/plain; charset=utf-8"
    yield "Content-Transfer-Encoding: 7bit"


def _name(record: Record) -> str:
    """`nickname (fingerprint)`, as much of it as a subject holds."""
    of_exit = table(record, "exit")
    return f"{text(of_exit, 'nickname')} ({text(of_exit, 'fingerprint')[:8]})"


def _opening(finding: Finding) -> list[str]:
    record = finding.record
    lied, of, runs = whole(record, "lied"), whole(record, "of"), len(items(record, "runs"))
    exits, beside = controls_through(record), compared(record)
    differ = f"{lied} of {of} answers that came through it differ from {beside or 'what they should be'}"
    others = f", while {exits} other exits, asked the same at the same time, gave one" if exits else ""
    told = {
        "tampered": f"The exit relay below changed what it carried: {differ}.",
        "suspect": f"The exit relay below may change what it carries: {differ}.",
        "broken": "The exit relay below does not carry what it offers to carry:"
        f" {runs} of {runs} attempts got no usable answer{others}.",
    }[finding.status]
    if lied < of:
        told += f" The other {of - lied} were as they should be: it happens at times only."
    if was_left_open(record):
        told += " The scan was interrupted before all was asked."
    blocks = [paragraph(TEST_NETWORK)] if finding.lab else []
    version = f" {finding.exitpin}" if finding.exitpin else ""
    blocks += [paragraph(told), paragraph(f"{ABOUT.format(version=version)} {QUOTED}")]
    return [line for block in blocks for line in (*block, "")]


def controls_through(record: Record) -> int:
    """Through how many other exits the same was asked."""
    return len({text(one, "exit") for one in tables(record, "controls") if text(one, "vantage") == "exit"})


def compared(record: Record) -> str:
    """With what, in the middle of a sentence; empty: with nothing."""
    vantages = [text(one, "vantage") for one in tables(record, "controls")]
    if exits := controls_through(record):
        return f"what {exits} other exits were given at the same time (in {vantages.count('exit')} runs)"
    if "direct" in vantages:
        return "what we were given at the same time without Tor"
    return "what is known beforehand" if vantages else ""


def _who(finding: Finding) -> list[str]:
    of_exit = table(finding.record, "exit")
    family = [str(name) for name in items(of_exit, "family")]
    consensus = text(of_exit, "consensus")
    told = [
        ("nickname", text(of_exit, "nickname")),
        ("fingerprint", text(of_exit, "fingerprint")),
        ("address", ", ".join(map(str, items(of_exit, "addresses")))),
        ("flags", " ".join(map(str, items(of_exit, "flags")))),
        ("family", " ".join(family) or "none declared"),
        ("consensus", f"valid after {consensus} UTC" if consensus else ""),
    ]
    contact = text(of_exit, "contact")
    quoted = ["  contact, as the relay states it:", *quotation(contact, indent="    ")] if contact else []
    return section("WHICH RELAY", [*rows(told), *(quoted or ["  contact      none stated"])])


def _meaning(finding: Finding) -> list[str]:
    blocks = [paragraph(words) for words in MEANING[finding.status]]
    undecided = [str(name) for name in items(finding.record, "undecided")]
    if undecided:
        words = f"The other exits do not agree among themselves on: {', '.join(undecided)}. That counted for nothing."
        blocks.append(paragraph(words))
    return section("WHAT IT MEANS", *blocks)


def _others(finding: Finding) -> list[str]:
    """What else is known of the exit, a line each."""
    blocks = []
    if finding.others:
        lines = [
            f"  {text(one, 'status'):<9} {text(table(one, 'tool'), 'id')}: {ascii_text(text(one, 'reason'))}"
            for one in finding.others
        ]
        blocks.append(["In the same scan this relay also has (each would be a mail of its own):"])
        blocks.append([cut(line) for line in lines])
    past = [one for one in finding.detail.past if one.scan_id != text(finding.record, "scan_id")]
    if past:
        counts = {status: sum(one.status == status for one in past) for status in dict.fromkeys(p.status for p in past)}
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        blocks.append(item(f"The same question in {len(past)} earlier scans of ours: {told}.", "*"))
    if finding.honest:
        blocks.append(item(f"Other tools of this scan found it honest: {finding.honest}.", "*"))
    return section("WHAT ELSE WE KNOW OF IT", *blocks)
