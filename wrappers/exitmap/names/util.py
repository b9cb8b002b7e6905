"""`util`: exitmap's functions for modules. `analysis_dir` is set before setup(), and made by whoever writes there."""

import logging
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.request import Request

log = logging.getLogger("util")

analysis_dir: str | None = None

METRICS = "https://metrics.torproject.org/rs.html#details/"
COUNTRIES = "https://onionoo.torproject.org/details?fields=fingerprint&country="
HEADERS = (
    ("User-Agent", "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Upgrade-Insecure-Requests", "1"),
)
"""As Tor Browser sends them."""


def exiturl(exit_fpr: str) -> str:
    """Where people read about a relay."""
    return f"<{METRICS}{exit_fpr}>"


def dump_to_file(blurb: str | bytes, exit_fpr: str) -> str | None:
    """Write what came of an exit to a new file in `analysis_dir`, and to the evidence of the run; its name, None when
    it can't be written."""
    import shutil
    import tempfile

    evidence = os.environ.get("EXITPIN_EVIDENCE")
    try:
        if analysis_dir is not None:
            os.makedirs(analysis_dir, exist_ok=True)
        number, path = tempfile.mkstemp(prefix=f"{exit_fpr}_", dir=analysis_dir)
        with open(number, "wb") as file:
            file.write(blurb if isinstance(blurb, bytes) else blurb.encode("utf-8", "surrogateescape"))
        if evidence is not None and os.path.dirname(path) != evidence:
            shutil.copyfile(path, os.path.join(evidence, os.path.basename(path)))
    except OSError as error:
        log.warning("%s of %s can't be written: %s", len(blurb), exit_fpr, error.strerror)
        return None
    log.debug("%d written to %s", len(blurb), path)
    return path


def new_request(url: str, data: bytes | None = None) -> "Request":
    """A request that looks like Tor Browser's."""
    from urllib.request import Request

    return Request(url, data, dict(HEADERS))


def extract_pattern(line: str, pattern: str) -> str | None:
    """The first group of the first match."""
    match = re.search(pattern, line)
    return match[1] if match else None


def get_source_port(stream_line: str) -> int | None:
    """The port in SOURCE_ADDR of a STREAM line."""
    port = extract_pattern(stream_line, r"SOURCE_ADDR=\S*?:([0-9]{1,5})(?:\s|$)")
    return int(port) if port else None


def parse_log_lines(ports: dict[str, int], log_line: str) -> None:
    """The ports in a line of tor's log, into `ports`."""
    for name, port in re.findall(r"(Socks|Control) listener listening on port ([0-9]{1,5})\.", log_line):
        ports[name.lower()] = int(port)


def relay_in_consensus(fingerprint: str, cached_consensus_path: str) -> bool:
    """Whether a consensus in a file has this relay. Raises OSError."""
    from pathlib import Path

    from ..relays import Consensus

    return fingerprint.upper() in Consensus(Path(cached_consensus_path))


def get_relays_in_country(country_code: str) -> list[str]:
    """The fingerprints of a country's relays, as Onionoo has them: it is asked from where this is called, and refused
    where there is no network. Raises OSError."""
    import json
    from urllib.request import urlopen

    with urlopen(COUNTRIES + country_code.lower()) as answer:
        told: dict[str, Any] = json.load(answer)
    return [relay["fingerprint"] for relay in told["relays"]]


__all__ = [
    *("analysis_dir", "dump_to_file", "exiturl", "extract_pattern", "get_relays_in_country"),
    *("get_source_port", "log", "new_request", "parse_log_lines", "relay_in_consensus"),
]
