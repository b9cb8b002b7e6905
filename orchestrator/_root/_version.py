"""The version of exitpin, once."""

__version__ = "0.1.0"
