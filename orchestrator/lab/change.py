"""Changes of a lab that lives: what may be asked for, as a value, and what the network is after it.

Pure. The command line makes a `Change`, which goes to the lab's supervisor as JSON; there it is checked against the
network as it is then, and `wrappers/lab_changing.py` carries it out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from ..errors import EXIT_USAGE, OperatorError
from ..policy import parse_policy
from .conduct import OPEN_POLICY, Conduct
from .network import EXITS_MAX, Network, Relay, Role

RULES_MOST = 60
CATCH_ALL = "reject *:*"
_NICKNAME = re.compile(r"[A-Za-z0-9]{1,19}\Z")  # tor-spec: nickname


class Verb(StrEnum):
    """What is done."""

    ADD = "add"
    REMOVE = "remove"
    RESTORE = "restore"
    POLICY = "policy"
    REKEY = "rekey"
    STOP_AUTHORITIES = "stop-authorities"
    START_AUTHORITIES = "start-authorities"


@dataclass(frozen=True, slots=True)
class Change:
    """One request. `names`: the relays by nickname; `policy`: exit policy lines (of `add`, `policy`); `like`: the exit
    whose conduct a new one has ("": it is plain)."""

    verb: Verb
    names: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    like: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """A relay after a change. `revision`: what its descriptor tells when it is as it should be; `is_up`: whether it
    relays."""

    nickname: str
    fingerprint: str
    address: str
    revision: int
    is_up: bool


def encode(change: Change) -> dict[str, Any]:
    """As JSON values."""
    return asdict(change)


def decode(plain: Mapping[str, Any]) -> Change:
    """The reverse of `encode`; ValueError, TypeError or KeyError for what is no change."""
    names, policy = plain["names"], plain["policy"]
    if not all(isinstance(one, str) for one in (*names, *policy, plain["like"])):
        raise TypeError("a name that is no text")
    return Change(Verb(plain["verb"]), tuple(names), tuple(policy), plain["like"])


def rules(words: Sequence[str]) -> tuple[str, ...]:
    """The policy of such rules, ending in one for all. OperatorError when they are none."""
    lines = [line.strip() for word in words for line in word.split(",") if line.strip()]
    if not 0 < len(lines) <= RULES_MOST or any(not line.isprintable() for line in lines):
        raise _misused("An exit policy has 1 to 60 rules.", "Give them as 'accept *:80' 'reject *:*'.")
    try:
        parse_policy("\n".join(lines))
    except ValueError as error:
        raise _misused(f"This is no exit policy: {error}.", "Give rules as 'accept *:80' 'reject *:*'.") from error
    return tuple(lines) if lines[-1].endswith(" *:*") else (*lines, CATCH_ALL)


def added(network: Network, change: Change) -> Network:
    """With the new exit. OperatorError when it can't be."""
    (name,) = change.names
    if not _NICKNAME.match(name):
        raise _misused(f"{name!r} can't be the nickname of a relay.", "Use up to 19 letters and digits.")
    if any(relay.nickname.lower() == name.lower() for relay in network.relays):
        raise _misused(f"There is a relay {name} already.", "Use another name; `restore` starts a removed one again.")
    if len(network.exits) >= EXITS_MAX:
        raise _misused(f"A lab has at most {EXITS_MAX} exits, removed ones included.", "Use `rekey`, or a new lab.")
    number = int(network.exits[-1].address.rpartition(".")[2]) + 1
    relay = Relay(name, Role.EXIT, f"203.0.113.{number}", 5001, f"2001:db8:e::{number}", 0, _conduct(network, change))
    return replace(network, relays=(*network.relays, relay))


def with_policy(network: Network, change: Change) -> Network:
    """With that exit policy at those exits: what they declare, and what they keep to."""
    names = {relay.nickname for relay in found(network, change.names, (Role.EXIT,))}
    policy = rules(change.policy)
    return replace(
        network, relays=tuple(_declares(one, policy) if one.nickname in names else one for one in network.relays)
    )


def found(
    network: Network, names: Sequence[str], roles: Sequence[Role] = (Role.MIDDLE, Role.EXIT)
) -> tuple[Relay, ...]:
    """The relays of those names. OperatorError when one is not there, or not of those roles."""
    known = {relay.nickname: relay for relay in network.relays if relay.role in roles}
    for name in names:
        if name not in known:
            raise _misused(
                f"There is no {' or '.join(roles)} {name!r} in this lab.", "`exitpin lab status` names them."
            )
    return tuple(known[name] for name in dict.fromkeys(names))


def _conduct(network: Network, change: Change) -> Conduct:
    if change.like:
        (model,) = found(network, (change.like,), (Role.EXIT,))
        return model.conduct
    # Nobody is told to vote it the Exit flag: the authorities look at its policy.
    return Conduct(policy=rules(change.policy) if change.policy else OPEN_POLICY, exit_flag=False)


def _declares(relay: Relay, policy: tuple[str, ...]) -> Relay:
    return replace(relay, conduct=replace(relay.conduct, policy=policy, enforce=(), exit_flag=False))


def _misused(message: str, hint: str) -> OperatorError:
    return OperatorError(message, hint, EXIT_USAGE)
