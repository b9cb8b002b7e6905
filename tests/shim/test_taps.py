"""The launcher: the device of a macvtap that somebody left can't be opened, wherever in /dev it stands."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Shim, World

pytestmark = pytest.mark.parametrize("shim", ["guard"], indirect=True)

OWN = ("--own-mounts",)
OPENS = """
import errno, os, sys
head = bytes([0x45, 0, 0, 48, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7])
frame = b"\\x02\\0\\0\\0\\0\\x02" + b"\\x02\\0\\0\\0\\0\\x09" + b"\\x08\\0" + head + bytes(28)
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
    try:
        tap = os.open(sys.argv[1], flags)
        if flags != os.O_RDONLY:
            os.write(tap, bytes(10) + frame)  # before a frame stands what it is, as virtio has it
        print("open")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
LEFT = ["protocol 17 to 198.51.100.7"] * 2
ELSEWHERE = """
mkdir {old} && mount --rbind /dev {old} && mount -t tmpfs tmpfs /dev && mkdir -p /dev/net/own &&
touch /dev/null /dev/net/own/tap && mount --bind {old}/null /dev/null && mount --bind {tap} /dev/net/own/tap &&
umount -l {old} && exec "$@"
"""


@pytest.fixture
def tap(world: World) -> Iterator[str]:
    """Somebody's macvtap on the cable. Its number is its device's name, which all networks here have in common."""
    number = secrets.randbelow(10**9) + 10**6
    link = f"link add link wire0 name tap index {number} type macvtap mode bridge"
    for line in (link, "link set tap addrgenmode none", "link set tap up"):
        made = subprocess.run([*world.enter(), "ip", *line.split()], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"no macvtap: {made.stderr.strip()}")
    path = f"/dev/tap{number}"
    try:
        if not os.access(path, os.R_OK | os.W_OK):
            pytest.skip("it has no device, or one of root's alone")
        yield path
    finally:
        subprocess.run([*world.enter(), "ip", "link", "del", "tap"], check=True)


def test_no_frame_is_written_to_it(shim: Shim, tap: str) -> None:
    assert shim.run(sys.executable, "-I", "-c", OPENS, tap, flags=OWN).lines == ["EACCES"] * 3
    assert shim.world.leaks() == []


def test_it_is_there_for_all_others(shim: Shim, tap: str) -> None:
    shim.run(sys.executable, "-I", "-c", OPENS, tap, flags=OWN)
    os.close(os.open(tap, os.O_RDWR))


def test_without_this_a_frame_leaves(shim: Shim, tap: str, without: Callable[[str], str]) -> None:
    run = shim.run(sys.executable, "-I", "-c", OPENS, tap, flags=OWN, launcher=without("taps"))
    assert (run.lines, shim.world.leaks()) == (["open"] * 3, LEFT)


def test_in_a_folder_of_a_containers_dev_it_is_found(shim: Shim, tap: str, tmp_path: Path) -> None:
    """There it has another name, and is a mount of its own."""
    script = ELSEWHERE.format(old=tmp_path / "dev", tap=tmp_path / "dev" / Path(tap).name)
    under = ("unshare", "--mount", "sh", "-c", script, "sh")
    run = shim.run(sys.executable, "-I", "-c", OPENS, "/dev/net/own/tap", under=under, flags=OWN)
    assert run.lines == ["EACCES"] * 3


def test_other_devices_are_as_they_were(shim: Shim, tap: str) -> None:
    del tap
    reads = ("head", "-c", "4", "/dev/zero", "/dev/random", "/dev/full")
    run = shim.run("sh", "-c", f"{' '.join(reads)} | wc -l; echo x > /dev/null && echo done", flags=OWN)
    assert run.lines[-1] == "done"
    assert not run.stderr
