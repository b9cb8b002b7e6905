"""Scans by schedule, for months: `exitpin watch PLAN.toml`.

plan.py     what is to be scanned, how often, and how: frozen values
agenda.py   what is due when, what is gone on with, and how long to wait after a failure: pure
past.py     which iterations the store knows, so that a watch that is started anew goes on where it was

An iteration is one `exitpin audit`, a process of its own that is gone on with after whatever ended it. So a watch
itself holds nothing that could be lost: `cli/watch_loop.py` starts those processes and waits for them.
"""
