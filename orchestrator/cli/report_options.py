"""What the verbs of `report` that monitoring calls take on their command lines.

Read when they are carried out, and not by argparse: `report status` answers a wrong one in a plugin's words.
"""

from ..audit.param_types import duration_s
from ..errors import EXIT_USAGE, OperatorError
from ..results.wanted import STATUSES
from .results_store import shown


def age_s(text: str, option: str = "--max-age") -> float:
    """`26h`, `30d`. Raises OperatorError."""
    try:
        return duration_s(text)
    except ValueError:
        raise OperatorError(f"{option} {shown(text)}: say a time such as 26h or 7d.", "", EXIT_USAGE) from None


def statuses(text: str, option: str) -> frozenset[str]:
    """The statuses that an option names. Raises OperatorError."""
    words = frozenset(word.strip() for word in text.split(",") if word.strip()) - {"none"}
    if words <= set(STATUSES):
        return words
    raise OperatorError(f"{option} {shown(text)}: say some of {', '.join(STATUSES)}, or none.")
