"""`error`: what exitmap raises."""


class ExitSelectionError(Exception):
    """No exits are left."""


class PathSelectionError(Exception):
    """No path is there."""


class SOCKSv5Error(Exception):
    """A SOCKS server said no: `SOCKS Server error N` (RFC 1928 section 6)."""
