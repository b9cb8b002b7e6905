"""An audit: declared tools through many exits, compared, confirmed, judged. A single run is `orchestrator/` around it.

1. A declared *tool*, its parameters and a selection of exits make *cases*: one tool, one exit. params.py, scan_plan.py
2. A case wants runs and controls; what may start now is *scheduled*.                         cases.py, schedule.py
3. What a run left is read as *facts*, its attribution recomputed, by rules *judged*.         assessing.py, verdict.py
4. Judged against *controls*: what other exits were given, as far as they agree.              controls.py, agreement.py
5. A lie is confirmed on fresh circuits, by fresh controls; then all runs conclude together.  conclusions.py
6. Each run and each verdict is a record of its own, with its evidence.                       records.py, keeping.py
7. A scan that was interrupted is recalled, and goes on.                                      recalling.py

`auditing.py` owns the state: it takes events, calls the pure modules, and hands their wishes on. `scanning.py` puts it
together with a session, a launcher and a store.
"""
