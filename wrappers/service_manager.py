"""What a service manager wants to hear of its service (sd_notify(3)): that it is ready, what it does, that it lives.

Where there is none (`NOTIFY_SOCKET` is not set), nobody is told.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

TEXT_MAX = 1000


def tell(environment: Mapping[str, str], **facts: str) -> None:
    """Tell it: READY="1", STATUS="...". A manager that does not listen is not waited for."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    message = "".join(f"{name}={' '.join(text.split())[:TEXT_MAX]}\n" for name, text in facts.items())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.setblocking(False)
        manager.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)


def watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How often the manager wants a sign of life (half of `WATCHDOG_USEC`), in seconds; None: it does not."""
    wanted = environment.get("WATCHDOG_USEC", "")
    is_ours = environment.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
    return int(wanted) / 2e6 if wanted.isdecimal() and int(wanted) and is_ours else None
