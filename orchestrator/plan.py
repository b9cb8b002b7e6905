"""The plan: one run per exit (and repetition), in a seeded random order, each with an address and a nonce of its own.

Pure; chance comes in as `rng`. The addresses are drawn from 127.64.0.0/10, so Tor's SOURCE_ADDR names the run.
"""

import ipaddress
from collections.abc import Sequence
from random import Random

from .model import Relay, Run

RUN_ADDRESSES = ipaddress.IPv4Network("127.64.0.0/10")
NONCE_BYTES = 16


def make_plan(
    exits: Sequence[Relay], argv: Sequence[str], *, scan_id: str, timeout_s: float, rng: Random, repeat: int = 1
) -> list[Run]:
    """The runs in the order in which they start."""
    targets = [relay for relay in exits for _ in range(repeat)]
    rng.shuffle(targets)
    first = rng.randrange(RUN_ADDRESSES.num_addresses)
    return [
        Run(
            run_id=f"{scan_id}-{index:04d}",
            index=index,
            exit=relay,
            argv=tuple(argv),
            address=run_address(first + index),
            nonce=rng.getrandbits(8 * NONCE_BYTES).to_bytes(NONCE_BYTES, "big"),
            timeout_s=timeout_s,
        )
        for index, relay in enumerate(targets, start=1)
    ]


def run_address(number: int) -> str:
    """The loopback address of run `number`; numbers wrap after four million."""
    return str(RUN_ADDRESSES[number % RUN_ADDRESSES.num_addresses])
