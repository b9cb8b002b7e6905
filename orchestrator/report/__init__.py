"""What was found, told to people and to machines: HTML, e-mail, Prometheus, monitoring plugins. Reads records, decides
nothing.

fields.py            records read without trust in their shape, and times as people read them
exhibition.py        evidence and records for one page, read once

survey.py            a scan as a whole: which exits were asked what, a line a verdict
details.py           everything about one verdict, laid out: what differs, its runs, its controls, its past
run_details.py       one run, laid out: how it went, its circuits, who witnessed its streams
differences.py       an exit beside its controls: which values of each fact differ, which fields of a certificate
bodies.py            where two bodies differ, line by line
told.py              a line of what differs: which side it is of, and what it says
differences_told.py  all that differs, as such lines: for a mail, and for a terminal
nicknames.py         relays by fingerprint, as a consensus names them

html.py              one scan as one page: report html
budget.py            what of the details fits into it
charts.py            its figures, as geometry

email.py             one finding as a mail: report email
finding.py           all that there is to say of it, gathered from the store
email_seen.py        what was asked, and what came back beside what others were given
email_repeat.py      how to see it again, with exitpin and without
by_hand.py           the command lines for that: an own tor with one exit, and what people type
email_proof.py       when it was, how the relay is known, where the evidence is
plain.py             plain text in 72 columns of ASCII, in which what others wrote is a quotation

watch.py             the last scan of each job, for monitoring
watch_told.py        what a watch says of itself, in a file
prom.py              as metrics: report prom
status.py            as one line and an exit status: report status

rerun.py             a recorded run beside the same run made again: replay
"""
