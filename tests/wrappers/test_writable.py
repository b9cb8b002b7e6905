"""What a run that may only read is given to write to nevertheless."""

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from exitpin.orchestrator.containment import Abilities, Containment
from exitpin.wrappers.hidden import containment_options

from .test_hidden import HIDING, Begun, no_sockets
from .test_household import apart
from .test_launch import A_RUN


def test_a_run_that_may_only_read_writes_where_it_may_and_to_what_is_its_own() -> None:
    held = Containment("guard", abilities=Abilities(6), writes=frozenset({"/w"}))
    assert containment_options(held, [], ["/own"], ["/p"]) == ["--guard"]
    options = containment_options(replace(held, is_read_only=True), [], ["/own"], ["/p"])
    assert options == ["--guard", "--read-only", "--write", "/w", "--write", "/p", "--write", "/own"]


def test_what_is_named_as_a_pipe_and_is_none_may_not_be_written_to(tmp_path: Path) -> None:
    given = tmp_path / "given"
    (given / "folder").mkdir(parents=True)
    (given / "file").touch()
    os.mkfifo(given / "pipe")
    named = frozenset(str(given / name) for name in ("folder", "file", "missing", "pipe"))

    async def script() -> None:
        held = replace(HIDING, is_read_only=True, pipes=named)
        run = Begun(tmp_path, no_sockets, containment=held)
        await run.until(lambda: run.options)
        assert run.options is not None
        assert [word for word in run.options if word in named] == [str(given / "pipe")]
        run.launch.close()

    apart(script)


def test_the_folders_of_a_run_are_named_without_links_and_what_is_laid_there_later_is_not_followed(
    tmp_path: Path,
) -> None:
    for folder in ("runtime", "store", "outside"):
        (tmp_path / folder).mkdir()
    (tmp_path / "short").symlink_to("runtime")
    (tmp_path / "home").symlink_to("store")

    async def script() -> None:
        held = replace(HIDING, is_read_only=True)
        run = Begun(tmp_path / "short", no_sockets, containment=held, evidence=tmp_path / "home" / "e")
        run.launch.close()
        (tmp_path / "store" / "e").symlink_to(tmp_path / "outside")
        run.begin()
        await run.until(lambda: run.options)
        assert run.options is not None
        written = [path for option, path in pairwise(run.options) if option == "--write"]
        below = tmp_path / "runtime" / str(A_RUN.index)
        assert written == [f"{below}.facts", f"{below}.d", str(tmp_path / "store" / "e" / A_RUN.run_id)]
        run.launch.close()

    apart(script)
