"""Modules of exitmap, unmodified: what runs inside of a run (`__main__.py`) and the names that they import (`names/`).

The orchestrator starts `python -P -m exitpin.wrappers.exitmap PART MODULE`, PART being setup, probe or teardown, each
as the command of a run. So whatever a module opens, in whatever process, is pinned as any tool's connections are:
nothing here replaces a socket. Only `scan_files.py` and `imports.py` are called outside of a run.
"""
