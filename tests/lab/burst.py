"""Many connections to the sink at once: python burst.py ADDRESS COUNT. Prints how many were greeted."""

import asyncio
import resource
import sys


async def main(address: str, count: int) -> int:
    async def one(port: int) -> bool:
        reader, writer = await asyncio.open_connection(address, port)
        line = await reader.readline()
        writer.transport.abort()
        return line.startswith(f"{address} {port} ".encode())

    results = await asyncio.gather(*(one(9000 + n % 100) for n in range(count)))
    return sum(results)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(asyncio.run(main(sys.argv[1], int(sys.argv[2]))))
