"""`relayselector`: modules import it, and select nothing with it."""

from pathlib import Path

from ..relays import Consensus


def get_fingerprints(cached_consensus_path: str, exclude: tuple[str, ...] = ()) -> list[str]:
    """The relays of a consensus in a file. Raises OSError."""
    return [fingerprint for fingerprint in Consensus(Path(cached_consensus_path)) if fingerprint not in exclude]
