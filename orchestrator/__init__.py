"""The flow of exitpin, in the words of control-spec: first a run, then an audit, which is made of runs.

A run
1. A command and a selection of exits make a *plan*: a list of runs.                         plan.py, selection.py
2. The *pool* builds one circuit per run to its exit; at BUILT its path is compared.          circuits.py
3. The *run* starts under the launcher: a process tree of its own, with the shim preloaded.   runs.py
4. On each connect the shim binds the tool's socket and *reports* it, with the socket.        shim/preload
5. The source endpoint is *claimed* for the run's circuit; only then is SOCKS spoken on it.   streams.py
6. STREAM NEW is joined with its claim by address, port and tag, and attached once.           streams.py
7. The shim gets 0, or the errno that Tor's reason maps to; the tool goes on.                 outcomes.py
8. When the tree has ended, what happened folds into one record.                             observation.py
9. The raw lines and reports are kept; every attribution can be recomputed from them.         verify.py

An audit
1. A declared *tool*, its parameters and a selection of exits make *cases*: one tool, one exit. tool.py, scan_plan.py
2. A case wants runs and controls; what may start now is *scheduled*.                         cases.py, schedule.py
3. What a run left is read as *facts*, its attribution recomputed, by rules *judged*.         assessing.py, verdict.py
4. Judged against *controls*: what other exits were given, as far as they agree.              controls.py, agreement.py
5. A lie is confirmed on fresh circuits, by fresh controls; then all runs conclude together.  conclusions.py
6. Each run and each verdict is a record of its own, and goes to the store.                   ledger.py, store.py

`loop.py` owns the state of runs, `auditing.py` that of audits: they take events, call the pure modules, and hand their
effects on to `wrappers/`.
"""
