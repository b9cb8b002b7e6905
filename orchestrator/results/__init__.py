"""What was found, kept so that it can be shown a year later to somebody who was not there.

rows.py     a record as the tables hold it
blobs.py    evidence on disk, named by what is in it
store.py    writes: evidence first, then the records that name it, from a thread of its own
stored.py   reads: records by what they are about, newest or gravest first
"""
