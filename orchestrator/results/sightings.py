"""Which exits were seen in a network, and when first: the history by which a newcomer is known.

A table of the store, brought up to date with the snapshot of each scan. Those of the very first snapshot were there
before anybody looked: they are no newcomers.
"""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from ...wrappers.database import PATIENCE_S, create, explained
from ..freshness import epoch_of, moment_of
from ..model import Fingerprint, Snapshot
from ..network_change import NetworkChange, Sighting, change_of, sightings_of
from .stored import open_store

BEFORE_HISTORY = 0.0
"""When those were first seen that the first snapshot had, in seconds since the epoch."""

_NOTE = (
    "INSERT INTO sightings (network, fingerprint, nickname, policy, flags, first_seen, last_seen)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (network, fingerprint) DO UPDATE SET nickname = excluded.nickname,"
    " policy = excluded.policy, flags = excluded.flags, last_seen = excluded.last_seen"
)


def note_snapshot(
    store: Path, network: str, snapshot: Snapshot, patience_s: float = PATIENCE_S
) -> NetworkChange | None:
    """Remember who is in this snapshot of a network (`Vantage.network`); what has changed since the one before.

    `patience_s`: how long somebody else's lock on the store is waited for. None: there was none before, or a later one
    is known already, which stays. Raises OperatorError when the store can't be written.
    """
    at, now = epoch_of(snapshot.valid_after), sightings_of(snapshot)
    with closing(create(store, patience_s)) as connection, explained(store):
        connection.execute("BEGIN IMMEDIATE")
        rows = connection.execute(
            "SELECT fingerprint, nickname, policy, flags, last_seen FROM sightings WHERE network = ?", (network,)
        ).fetchall()
        latest = max((row[-1] for row in rows), default=None)
        if latest is not None and latest > at:
            connection.execute("ROLLBACK")
            return None
        first = BEFORE_HISTORY if latest is None else at
        connection.executemany(
            _NOTE, [(network, name, s.nickname, s.policy, s.flags, first, at) for name, s in now.items()]
        )
        connection.execute("COMMIT")
    if latest is None:
        return None
    old = {Fingerprint(name): Sighting(*seen) for name, *seen, last_seen in rows if last_seen == latest}
    return change_of((moment_of(latest), old), (snapshot.valid_after, now), {name for name, *_ in rows})


def first_seen_of(store: Path, network: str) -> Mapping[Fingerprint, float]:
    """When each exit of a network was first seen: the valid-after of that consensus, in seconds since the epoch, or
    BEFORE_HISTORY. Raises OperatorError."""
    reader = open_store(store)
    if reader is None:
        return {}
    with reader:
        statement = "SELECT fingerprint, first_seen FROM sightings WHERE network = ?"
        return {Fingerprint(name): seen for name, seen in reader.rows(statement, [network])}
