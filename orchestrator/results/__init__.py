"""What was found, kept so that it can be shown a year later to somebody who was not there.

rows.py         a record as the tables hold it
exhibit.py      a piece of evidence, and how a record names it
scan_record.py  what is known of a scan as a whole
blobs.py        evidence on disk, named by what is in it
store.py        writes: evidence first, then the records that name it, from a thread of its own
scan_lock.py    whether a scan is under way
stored.py       reads: records by what they are about, newest or gravest first (wanted.py: as SQL says it)
standing.py     verdicts by their columns: difference.py compares two scans, history.py follows one exit
check.py        a record held against its evidence; checking.py: many of them
public.py       what anybody may read of a record; export.py: on their way out
bundle.py       findings and their evidence in one archive: bundling.py writes, unbundling.py checks
sweep.py        what may go
"""
