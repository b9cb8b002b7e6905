"""The part of a mail that says how to see it again: with exitpin, and without it. Pure."""

from ..results.commands import BLANK, blanks, command_shown, filled_in, tool_file
from ..tool import Status
from .by_hand import SOCKS_PORT, is_new_each_time, own_tor, plain_command, through_it
from .email_seen import differences
from .fields import table, text, whole
from .finding import Finding
from .plain import command, paragraph, section

CHANGED = "If it is as we say, this relay gives what stands behind + above, and most others what stands behind -."
SAID = "If it is as we say, the test says of this relay what it says above, and of most others nothing."
BROKEN = "If it is as we say, no usable answer comes through this relay, time and again, and one through others."
STALE = "The file of this test has changed since: what it says to type by hand is left out."
FILE = "The test is a file of ours: {file} has to be in the folder where you type this. We send it on request."
FILL_IN = f"What stands as {BLANK} is a secret of ours: put your own there."


def repeat(finding: Finding) -> list[str]:
    """Command lines."""
    record = finding.record
    fingerprint = text(table(record, "exit"), "fingerprint")
    blocks = [
        paragraph("1. By hand, with tor and torsocks. A tor that has no other exit than this relay:"),
        command(own_tor(fingerprint)),
    ]
    typed = plain_command(record, finding.accusing[0], finding.by_hand.words) if finding.accusing else None
    words = [filled_in(word) for word in typed or ()]
    if words:
        blocks.append(paragraph('and, once it says "Bootstrapped 100%", in another terminal:'))
        blocks.append(command(through_it(words), end="" if words[0] == "tor-resolve" else "</dev/null"))
    else:
        blocks.append(paragraph(f"and through it (torsocks -P {SOCKS_PORT}) whatever asks the question above."))
    if finding.by_hand.is_stale:
        blocks.append(paragraph(STALE))
    expected = f"Then the same with the fingerprint of any other exit. {_expected(finding)}"
    if is_new_each_time(record, finding.by_hand.words):
        expected += " A part of the name was drawn anew for each run; any other will do."
    if whole(record, "lied") < whole(record, "of"):
        expected += f" Try it several times: {whole(record, 'lied')} of {whole(record, 'of')} were changed."
    blocks.append(paragraph(expected))
    again = command_shown(record, to_others=True)
    if again:
        blocks.append(paragraph("2. With exitpin, which compares, asks again, and judges:"))
        blocks.append(command(again))
    if file := tool_file(again):
        blocks.append(paragraph(FILE.format(file=file)))
    if blanks(again) or words != (typed or []):
        blocks.append(paragraph(FILL_IN))
    return section("HOW TO SEE IT AGAIN", *blocks)


def _expected(finding: Finding) -> str:
    if finding.status == Status.BROKEN:
        return BROKEN
    return CHANGED if differences(finding) else SAID
