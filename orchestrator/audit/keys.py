"""By what a question is recognised in another session, and in another scan: content, never position. Pure."""

import hashlib
import json
from collections.abc import Mapping

from ..model import Relay
from .errands import Audit

KEY_SHOWN = 12  # hex digits of the key in the id of a verdict


def audit_key(digest: str, values: Mapping[str, str]) -> str:
    """The part of the key that all exits share: tool digest and parameters."""
    return hashlib.sha256(json.dumps([digest, sorted(values.items())]).encode()).hexdigest()


def key_of(audit: Audit, relay: Relay) -> str:
    """Tool digest, parameters, exit."""
    return run_key(audit.key, relay.fingerprint)


def run_key(key: str, fingerprint: str) -> str:
    """The same, of an exit that is known by its fingerprint alone. `key`: as `audit_key` has it."""
    return hashlib.sha256(f"{key}\0{fingerprint}".encode()).hexdigest()


def verdict_id(scan_id: str, key: str) -> str:
    """Names the one verdict that a scan has on a question: asked again after an interruption, it has the same name."""
    return f"{scan_id}-v{key[:KEY_SHOWN]}"
