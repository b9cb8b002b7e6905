"""exitpin: run any command-line tool through chosen Tor exits, and prove which exit carried each connection."""

from ._version import __version__

__all__ = ["__version__"]
