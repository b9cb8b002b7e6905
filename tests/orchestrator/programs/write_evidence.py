"""Writes runs that name evidence to a store for so long: PATH SECONDS. Says `written` at the end.

Eight runs name the same piece, one after the other, and no run later: so a piece that was taken wrongly stays away.
Every second run is so old that a sweeper takes it.
"""

import asyncio
import sys
import time
from itertools import count
from pathlib import Path

from exitpin.orchestrator.results.exhibit import exhibit, pack
from exitpin.orchestrator.results.store import Store

SHARE = 8
AT_ONCE = 5


async def write(store: Store, seconds: float) -> None:
    end = time.monotonic() + seconds
    for number in count():
        piece = pack(b"piece %d" % (number // SHARE) * 100)
        old = number % 2 == 0
        record = {
            "schema": "exitpin.run/1",
            "run_id": f"w{number:08d}",
            "scan_id": "old" if old else f"new{number % 20}",
            "status": "ok",
            "exit": {"fingerprint": "A" * 40},
            "start": 1.0 if old else 1e9,
            "t": {"end": 1.0 if old else 1e9},
            "evidence": [exhibit("stdout", piece)],
        }
        store.add(record, [piece])
        if number % AT_ONCE == 0:
            if time.monotonic() > end:
                break
            await asyncio.sleep(0.001)
    await store.close()


async def main() -> None:
    await write(Store(Path(sys.argv[1])), float(sys.argv[2]))
    print("written", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
