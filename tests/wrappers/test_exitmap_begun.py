"""What a module's top level makes anew in each process: setup()'s, in probes, or each process's own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from exitpin.wrappers.exitmap.handing import Globals, hand_on
from exitpin.wrappers.exitmap.loading import load
from exitpin.wrappers.exitmap.relays import Consensus

NEIGHBOUR = "import os\nTOKEN, SHARED, LISTED = os.urandom(8).hex(), {'token': os.urandom(8)}, ['neither']\n"


@pytest.fixture(autouse=True)
def neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "begun_neighbour.py").write_text(NEIGHBOUR)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("modules", "modules.begun", "begun_neighbour"):
        sys.modules.pop(name, None)


class Processes:
    """The module as setup's process has it, and as another one that was handed what setup's had."""

    def __init__(self, folder: Path, source: str) -> None:
        self._folder, self._source = folder, source
        self.first = self._loaded()
        before = Globals(self.first)
        if hasattr(self.first, "setup"):
            self.first.setup()
        self.content, self.missing = before.changed()

    def second(self) -> ModuleType:
        sys.modules.pop("begun_neighbour", None)
        second = self._loaded()
        hand_on(self.content, second, Consensus(self._folder))
        return second

    def _loaded(self) -> ModuleType:
        return load(self._folder / "begun.py", self._source.encode())


@pytest.mark.parametrize(
    "made",
    [
        "uuid.uuid4()",
        "time.time_ns()",
        "{'name': [uuid.uuid4().hex]}",
        "datetime.now()",
        "Path(tempfile.mktemp())",
        "Kept(os.urandom(8))",
        "(socket.AF_INET, re.compile('a'), os.urandom(8))",
    ],
)
def test_what_is_another_thing_in_each_process_is_setup_s_in_all(tmp_path: Path, made: str) -> None:
    source = (
        "import os, re, socket, tempfile, time, uuid\nfrom dataclasses import dataclass\n"
        "from datetime import datetime\nfrom pathlib import Path\n@dataclass\nclass Kept:\n    token: bytes\n"
        f"made = {made}\nclass Of:\n    made = {made}\nexpected = None\n"
        "def setup():\n    global expected\n    expected = made\n"
    )
    processes = Processes(tmp_path, source)
    second = processes.second()
    assert (processes.missing, second.made, str(second.Of.made)) == ({}, second.expected, str(processes.first.Of.made))


def test_what_is_the_same_in_each_process_stays_the_one_that_others_refer_to(tmp_path: Path) -> None:
    source = (
        "nothing, seen = object(), {'a': [1]}\n"
        "def is_nothing(given=nothing): return given is nothing\ndef is_seen(of=seen): return of is seen\n"
    )
    second = Processes(tmp_path, source).second()
    assert second.is_nothing() and second.is_seen()


def test_what_differs_in_its_order_alone_stays_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of texts has another one in each process."""
    source = "import os\nseen = dict.fromkeys(os.environ['ORDER'])\ndef is_seen(of=seen): return of is seen\n"
    monkeypatch.setenv("ORDER", "ab")
    processes = Processes(tmp_path, source)
    monkeypatch.setenv("ORDER", "ba")
    assert processes.second().is_seen()


@pytest.mark.parametrize(
    ("text", "is_its_own"),
    [
        ("from begun_neighbour import TOKEN", "TOKEN == begun_neighbour.TOKEN"),
        ("from begun_neighbour import SHARED as taken", "taken is begun_neighbour.SHARED"),
        ("taken = [os.urandom(8), begun_neighbour.LISTED]", "taken[1] is begun_neighbour.LISTED"),
        ("from random import choice as pick", "pick.__self__ is random._inst"),
        ("picks = [random.choice, random.random]", "picks[0].__self__ is random._inst"),
        ("own = random.Random()\nstate = own.getstate", "own is state.__self__"),
        ("folder = tempfile.TemporaryDirectory()\npath = folder.name + '/a'", "path.startswith(folder.name + '/')"),
        ("file = tempfile.NamedTemporaryFile()\npath = file.name", "path == file.name"),
    ],
)
def test_what_is_another_module_s_or_can_t_be_handed_on_is_the_process_s_own(
    tmp_path: Path, text: str, is_its_own: str
) -> None:
    begin = "import begun_neighbour, os, random, tempfile\n"
    processes = Processes(tmp_path, f"{begin}{text}\ndef is_its_own(): return {is_its_own}\n")
    assert processes.missing == {}
    assert processes.second().is_its_own()


def test_what_tells_of_a_run_is_that_run_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "import os, uuid\nnick = os.environ.get('EXITPIN_EXIT_NICK', 'none')\n"
        "evidence = os.environ['EXITPIN_EVIDENCE']\n"
        "places = {'file': os.path.join(evidence, 'found'), 'nick': nick}\ntoken = f'{uuid.uuid4()} of web.test'\n"
    )
    monkeypatch.setenv("EXITPIN_EVIDENCE", "/run/evidence/of-setup")
    processes = Processes(tmp_path, source)
    monkeypatch.setenv("EXITPIN_EXIT_NICK", "test")
    monkeypatch.setenv("EXITPIN_EVIDENCE", "/run/evidence/of-a-probe")
    second = processes.second()
    assert (second.nick, second.places) == ("test", {"file": "/run/evidence/of-a-probe/found", "nick": "test"})
    assert second.token == processes.first.token


def test_what_can_be_pickled_and_not_made_anew_is_left_as_it_is(tmp_path: Path) -> None:
    source = (
        "import os\nclass Odd(Exception):\n    def __init__(self, a, b):\n        super().__init__(a)\n"
        "        self.token = os.urandom(8)\nodd = Odd(1, 2)\n"
    )
    assert Processes(tmp_path, source).second().odd.args == (1,)


def test_what_was_made_in_setup_s_process_alone_is_there_if_its_place_is(tmp_path: Path) -> None:
    here = tmp_path / "here"
    source = (
        f"import os\nif not os.path.exists({str(here)!r}):\n    once = 'made'\n    class Of:\n        once = 'made'\n"
    )
    processes = Processes(tmp_path, source)
    here.touch()
    second = processes.second()
    assert second.once == "made" and not hasattr(second, "Of")


def test_a_large_value_that_is_the_same_is_seen_to_be(tmp_path: Path) -> None:
    source = (
        "seen = {n: str(n) * 99 for n in range(9999)}, b'x' * 200000\ndef is_seen(known=seen): return known is seen\n"
    )
    assert Processes(tmp_path, source).second().is_seen()
