"""`log`: the logger of exitmap's early modules."""

import logging


def getLogger() -> logging.Logger:
    """The one logger."""
    return logging.getLogger("exitmap")


get_logger = getLogger
