"""The flow of exitpin, in the words of control-spec: a run. Audits are made of runs (`audit/`).

1. A command and a selection of exits make a *plan*: a list of runs.                         plan.py, selection.py
2. The *pool* builds one circuit per run to its exit; at BUILT its path is compared.          circuits.py
3. The *run* starts under the launcher: a process tree of its own, with the shim preloaded.   runs.py
4. On each connect the shim binds the tool's socket and *reports* it, with the socket.        shim/preload
5. The source endpoint is *claimed* for the run's circuit; only then is SOCKS spoken on it.   streams.py
6. STREAM NEW is joined with its claim by address, port and tag, and attached once.           streams.py
7. The shim gets 0, or the errno that Tor's reason maps to; the tool goes on.                 outcomes.py
8. When the tree has ended, what happened folds into one record.                             observation.py
9. The raw lines and reports are kept; every attribution can be recomputed from them.         verify.py

`loop.py` owns the state of runs: it takes events, calls the pure modules, and hands their effects on to `wrappers/`.

audit/      declared tools, controls, cases, verdicts
results/    what was found, kept: the store, its evidence, and what is asked of it
report/     what was found, told to people and to machines
cli/        one file a verb
lab/        a private Tor network to try everything on
_root/      the package `exitpin`: what Python programs import
"""
