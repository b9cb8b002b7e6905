"""A line of what differs, as a mail and a terminal show it: which side it is of, and what it says. Pure."""

from typing import NamedTuple

HEAD, FIELD, HERE, THERE, BOTH, NOTE = "head", "field", "+", "-", " ", "note"


class Told(NamedTuple):
    """A line. `mark`: HEAD or FIELD (of what comes below), HERE, THERE, BOTH or NOTE; `seen`: in how many runs."""

    mark: str
    text: str
    seen: str = ""
