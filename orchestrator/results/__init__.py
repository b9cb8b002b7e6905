"""What was found, kept so that it can be shown a year later to somebody who was not there.

rows.py, exhibit.py       a record as the tables hold it; a piece of evidence as a record names it
store.py, blobs.py        writing: evidence first, then the records that name it, from a thread of its own
stored.py, wanted.py      reading: records by what they are about, newest or gravest first
summary.py                every scan, counted
standing.py               verdicts by their columns, for whoever compares many
difference.py, history.py two scans beside each other; one exit through all of them
check.py, checking.py     is it consistent? records held against their evidence, in several processes
public.py, export.py      what may be told to everybody; records for other programs
bundle.py, bundling.py    findings for a third person, written; unbundling.py reads what a stranger wrote
sweep.py, scan_lock.py    making room; whether a scan is under way
"""
