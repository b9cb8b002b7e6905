"""Writes records to a store and says how many are on disk: PATH SCAN COUNT SIZE [--forever] [--file-limit BYTES].

The first COUNT are on disk when `written COUNT` is printed; --forever goes on until somebody ends it. At the end, or
when the store fails, one JSON object: what was said, and how much memory was used at most.
"""

import argparse
import asyncio
import json
import resource
from itertools import count
from pathlib import Path

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results.store import Store

AT_ONCE = 50


def record(scan: str, number: int, size: int) -> dict[str, object]:
    return {
        "schema": "exitpin.run/1",
        "run_id": f"{scan}-{number:08d}",
        "scan_id": scan,
        "status": "ok",
        "started": 1000.0 + number,
        "process": {"stdout": "x" * size},
    }


async def write(store: Store, scan: str, numbers: "range | count[int]", size: int) -> None:
    for number in numbers:
        if store.is_full:
            drained = asyncio.Event()
            store.call_when_drained(drained.set)
            await drained.wait()
        store.add(record(scan, number, size))
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    await store.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("scan")
    parser.add_argument("count", type=int)
    parser.add_argument("size", type=int)
    parser.add_argument("--forever", action="store_true")
    parser.add_argument("--file-limit", type=int)
    args = parser.parse_args()
    if args.file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (args.file_limit, args.file_limit))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    problem = ""
    try:
        await write(Store(args.path), args.scan, range(args.count), args.size)
        print(f"written {args.count}", flush=True)
        if args.forever:
            await write(Store(args.path), args.scan, count(args.count), args.size)
    except OperatorError as error:
        problem = str(error)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"problem": problem, "grown_kib": after - before}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
