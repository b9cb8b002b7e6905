"""Nicknames of relays by fingerprint, as a consensus has them. Pure; dir-spec, "r" lines."""

import base64
import binascii
import re
from collections.abc import Iterable

_RELAY = re.compile(rb"(?m)^r (\S{1,19}) (\S{27}) ")


def nicknames(consensus: bytes, wanted: Iterable[str]) -> dict[str, str]:
    """Those of the wanted fingerprints that stand in it."""
    names = {}
    for fingerprint in wanted:
        try:
            names[base64.b64encode(bytes.fromhex(fingerprint)).rstrip(b"=")] = fingerprint
        except (ValueError, binascii.Error):
            continue  # an older record, or a made-up one
    if not names:
        return {}
    found = ((match[1], match[2]) for match in _RELAY.finditer(consensus))
    return {names[identity]: nickname.decode("ascii", "replace") for nickname, identity in found if identity in names}
