"""Controls for those who wait for them: which control runs to make, and when what there is is enough to judge by.

What counts as a control and who may be asked is `controls.py`'s. Called by `auditing.py`, on its loop.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ..model import Relay
from .assessing import Ended
from .cases import WITHOUT_OTHERS, Case, Role, WantControls
from .controls import Control, Controls
from .errands import Audit, Errand


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a case may be judged by. `is_enough`: as much as was wished, or as much as can be had; `is_fresh`: also
    young enough; `hopeless`: why there will be none; `fresh`: of `controls` those that are young enough."""

    controls: Controls | None
    is_enough: bool
    is_fresh: bool = True
    hopeless: str | None = None
    fresh: Controls | None = None


class Warden:
    """Keeps each audit's pool filled as far as its cases need it. `add` takes errands, `see_directly` audits that want
    to be seen without Tor; `look_again` is told of each case that found too little when there is something new."""

    def __init__(
        self,
        add: Callable[[Errand], None],
        see_directly: Callable[[Audit], None],
        look_again: Callable[[Case], None],
        rng: Random,
    ) -> None:
        self._add = add
        self._see_directly = see_directly
        self._look_again = look_again
        self._rng = rng
        self._wishes: dict[Case, WantControls] = {}

    def want(self, audit: Audit, case: Case, wish: WantControls) -> None:
        """A case waits for controls; a later wish of its replaces an earlier one."""
        audit.waiting.add(case)
        self._wishes[case] = wish
        if wish.at_least or wish.fresh_after is not None:
            audit.keen[case] = wish
        else:
            audit.keen.pop(case, None)
        audit.budget = 2 * (audit.pool.attempts_max + wish.at_least)
        self._tend(audit)

    def forget(self, audit: Audit, case: Case) -> None:
        """A case is closed."""
        audit.waiting.discard(case)
        audit.keen.pop(case, None)
        audit.asking.pop(case, None)
        self._wishes.pop(case, None)

    def ended(self, errand: Errand, ended: Ended, problem: str | None) -> None:
        """A control run is over. `problem`: why it is no control."""
        audit, relay = errand.audit, errand.relay
        audit.under_way -= 1
        if problem is None:
            audit.budget += not any(wish.at_least for wish in audit.keen.values())
            control = Control("exit", ended.facts, ended.at, ended.run_id, relay.fingerprint)
            audit.pool.add(control, relay)
        else:
            audit.pool.failed(relay, problem)
        self._tend(audit)
        self._tell(audit)

    def failed(self, errand: Errand, why: str) -> None:
        """A control run that will not be made."""
        errand.audit.under_way -= 1
        errand.audit.pool.failed(errand.relay, why)
        errand.audit.given_up = why
        self._tell(errand.audit)

    def seen_directly(self, audit: Audit, ended: Ended, problem: str | None) -> None:
        """What was seen without Tor, or why nothing was."""
        audit.under_way -= 1
        if problem is None:
            audit.pool.add(Control("direct", ended.facts, ended.at, ended.run_id))
        else:
            audit.pool.failed(None, problem)
        self._tend(audit)
        self._tell(audit)

    def outlook(self, audit: Audit, case: Case) -> Outlook:
        """What there is for a case now. If that is not enough, it is told when there is something new."""
        found = self._found(audit, case)
        if not found.is_enough:
            audit.asking[case] = None
        return found

    def _found(self, audit: Audit, case: Case) -> Outlook:
        mode, pool, now = audit.tool.baseline.mode, audit.pool, time.time()
        if mode == "none":
            return Outlook(None, True)
        if mode == "pinned":
            return Outlook(pool.view(now, case.exit), True)
        wish = self._wishes[case]
        view = pool.view(now, case.exit)
        fresh = view if wish.fresh_after is None else pool.view(now, case.exit, wish.fresh_after)
        is_closed, has_quorum = not audit.under_way, fresh.is_enough
        has_many = len(view.samples) >= wish.at_least
        if is_closed and not (has_quorum and has_many):
            self._tend(audit)  # those that there were may have grown too old
            if audit.under_way:
                return Outlook(view, False, False)
            had, due = (len(view.samples), wish.at_least) if has_quorum else (fresh.voters, fresh.quorum)
            why = audit.given_up or pool.exhausted() or f"only {had} of {due} could be had"
            return Outlook(view, False, False, why)
        enough = has_quorum and has_many and (is_closed or fresh.voters >= audit.tool.baseline.exits)
        return Outlook(view, enough, enough, None, fresh)

    def _tend(self, audit: Audit) -> None:
        """Start as many control runs as the waiting cases need beyond those under way."""
        if audit.tool.baseline.mode in WITHOUT_OTHERS or audit.given_up is not None or not audit.waiting:
            return
        now, wishes = time.time(), audit.keen.values()
        youngest = max((wish.fresh_after for wish in wishes if wish.fresh_after is not None), default=None)
        at_least = max((wish.at_least for wish in wishes), default=0)
        if audit.budget > 0 and audit.pool.wants_direct(now, youngest, at_least):
            audit.pool.started(None)
            audit.under_way += 1
            audit.budget -= 1
            self._see_directly(audit)
        # One more than anybody wants: the control that went through a case's own exit does not count for it.
        for _ in range(min(audit.budget, audit.pool.wanted(now, youngest, 1, at_least=at_least + 1))):
            relay = audit.pool.choose(audit.candidates, frozenset(), self._rng)
            if relay is None:
                break
            self._start(audit, relay)
        again = (audit.pool.wanted_again(now, w.at_least, case.exit) for case, w in audit.keen.items() if w.at_least)
        for _ in range(min(audit.budget, max(again, default=0))):
            relay = audit.pool.choose_again(self._rng)
            if relay is None:
                break
            self._start(audit, relay)

    def _start(self, audit: Audit, relay: Relay) -> None:
        audit.pool.started(relay)
        audit.under_way += 1
        audit.budget -= 1
        audit.made[relay.fingerprint] += 1
        self._add(Errand(audit, relay, Role.CONTROL, repetition=audit.made[relay.fingerprint]))

    def _tell(self, audit: Audit) -> None:
        asking, audit.asking = audit.asking, {}
        for case in asking:
            self._look_again(case)
