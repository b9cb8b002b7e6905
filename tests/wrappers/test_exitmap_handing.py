"""Globals that setup() set, in a process that begins with the module as it is loaded."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from exitpin.wrappers.exitmap.handing import Globals, Missing, NotHandedOn, hand_on
from exitpin.wrappers.exitmap.loading import load
from exitpin.wrappers.exitmap.relays import AnyDestination, Consensus, ExitDescriptor

DIGEST = "A" * 26
ENTRY = f"r {{name}} {DIGEST}{{end}} {DIGEST}A 2038-01-01 00:00:00 203.0.113.7 9001 0\ns Exit Running\nw Bandwidth=5\n"
SOURCE = """
import os, threading
class Kept:
    pass
names, lock, count, untouched = {"a.test": []}, threading.Lock(), 0, [1]
def setup(consensus):
    global count, kept, relays, same
    names["a.test"].append("192.0.2.1")
    count, kept, relays, same = 7, Kept(), consensus, names
"""


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "handed.py"
    path.write_text(SOURCE)
    yield load(path, path.read_bytes())
    for name in ("modules", "modules.handed"):
        del sys.modules[name]


@pytest.fixture
def consensus(tmp_path: Path) -> Consensus:
    text = (
        "network-status-version 3\n" + "".join(ENTRY.format(name=end, end=end) for end in "Q4") + "directory-footer\n"
    )
    (tmp_path / "consensus").write_text(text)
    return Consensus(tmp_path / "consensus")


def again(module: ModuleType, content: bytes, consensus: Consensus) -> ModuleType:
    """The module as another process has it."""
    assert module.__file__ is not None
    fresh = load(Path(module.__file__), SOURCE.encode())
    hand_on(content, fresh, consensus)
    return fresh


def test_what_was_changed_is_handed_on_and_the_consensus_is_told_of(module: ModuleType, consensus: Consensus) -> None:
    before = Globals(module)
    module.setup(consensus)
    content, missing = before.changed()
    assert missing == {}
    assert b"Exit Running" not in content
    probe = again(module, content, consensus)
    assert (probe.names, probe.count) == ({"a.test": ["192.0.2.1"]}, 7)
    assert probe.same is probe.names and type(probe.kept) is probe.Kept and probe.relays is consensus


def test_what_can_not_be_handed_on_raises_as_soon_as_it_is_used(module: ModuleType, consensus: Consensus) -> None:
    before = Globals(module)
    module.file, module.names = open(os.devnull), threading.Lock()  # noqa: SIM115
    content, missing = before.changed()
    module.file.close()
    assert list(missing) == ["names", "file"]
    probe = again(module, content, consensus)
    assert isinstance(probe.file, Missing) and probe.lock.acquire(blocking=False)
    for use in (lambda: probe.file.read(), lambda: len(probe.names), lambda: probe.names["a"], lambda: str(probe.file)):
        with pytest.raises(
            NotHandedOn, match=r"setup\(\) set (file|names), which can't be handed to a probe: .*pickle"
        ):
            use()


CHANGES = {
    "a container": ("found = defaultdict(lambda: [])", "found['a'].append(1)", "len(found)", "found"),
    "a queue": ("found = queue.Queue()", "found.put(1)", "found.get_nowait()", "found"),
    "an object": ("found = Locked()", "found.seen = 1", "found.seen", "found"),
    "deep inside": ("found = [{1: Locked()}]", "found[0][1].seen = 1", "found[0]", "found"),
    "a database": ("found = sqlite3.connect(':memory:')", "found.execute('create table a (b)'); "
                   "found.execute('insert into a values (1)')", "found.execute('select 1')", "found"),
    "what is generated": ("found = (n for n in range(9))", "next(found)", "next(found)", "found"),
    "a cache": ("found = lru_cache(len)", "found('abc')", "found('abc')", "found"),
    "a closure": ("def made(): kept = []; return lambda n=0: kept.append(n) if n else len(kept)\nfound = made()",
                  "found(1)", "found()", "found"),
    "beside a module": ("found = Locked(); found.more = sys", "found.seen = 1", "found.seen", "found"),
    "of a class": ("class Of: found = queue.Queue()", "Of.found.put(1)", "Of.found.qsize()", "Of.found"),
}  # fmt: skip
BEGIN = """
import queue, sqlite3, ssl, sys, threading
from collections import defaultdict
from functools import lru_cache
class Locked:
    def __init__(self): self.lock, self.seen = threading.Lock(), 0
"""


@pytest.mark.parametrize(("text", "change", "use", "name"), CHANGES.values(), ids=CHANGES)
def test_what_is_put_into_what_can_not_be_pickled_is_never_lost_in_silence(
    tmp_path: Path, text: str, change: str, use: str, name: str
) -> None:
    """The module would compare all exits with nothing."""
    source = f"{BEGIN}{text}\ndef setup(): {change}\ndef probe(): {use}\n"
    first = loaded(tmp_path, source)
    before = Globals(first)
    assert before.changed()[1] == {}
    first.setup()
    content, missing = before.changed()
    assert list(missing) == [name]
    second = loaded(tmp_path, source)
    hand_on(content, second, Consensus(tmp_path))
    with pytest.raises(NotHandedOn, match=rf"setup\(\) set {name}, which can't be handed to a probe"):
        second.probe()


def test_what_is_set_on_classes_and_functions_is_handed_on(tmp_path: Path) -> None:
    source = (
        "class Of:\n    found = {}\n    gone = 1\ndef setup():\n    Of.found['a'] = setup.seen = 1\n    del Of.gone\n"
    )
    first = loaded(tmp_path, source)
    before = Globals(first)
    first.setup()
    content, missing = before.changed()
    second = loaded(tmp_path, source)
    hand_on(content, second, Consensus(tmp_path))
    assert (missing, second.Of.found, second.setup.seen, hasattr(second.Of, "gone")) == ({}, {"a": 1}, 1, False)


def loaded(folder: Path, source: str) -> ModuleType:
    return load(folder / "handed.py", source.encode())


def test_what_can_be_pickled_but_not_together_is_told_by_name(module: ModuleType, consensus: Consensus) -> None:
    class Once:
        times = 0

        def __reduce__(self) -> tuple[type, tuple[()]]:
            Once.times += 1
            if Once.times > 1:
                raise ValueError("not again")
            return list, ()

    before = Globals(module)
    module.once = Once()
    content, missing = before.changed()
    assert missing == {"once": "ValueError: not again"}
    with pytest.raises(NotHandedOn, match=r"set once, .*: ValueError: not again"):
        len(again(module, content, consensus).once)


def test_a_global_that_setup_took_away_is_not_there(module: ModuleType, consensus: Consensus) -> None:
    before = Globals(module)
    del module.count
    content, missing = before.changed()
    assert missing == {} and not hasattr(again(module, content, consensus), "count")


def test_the_environment_and_the_timeout_of_sockets_are_handed_on(
    module: ModuleType, consensus: Consensus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXITMAP_TAKEN", "away")
    before = Globals(module)
    monkeypatch.setenv("EXITMAP_TRIED", "set")
    monkeypatch.delenv("EXITMAP_TAKEN")
    socket.setdefaulttimeout(3.5)
    try:
        content, _ = before.changed()
        socket.setdefaulttimeout(None)
        monkeypatch.delenv("EXITMAP_TRIED")
        monkeypatch.setenv("EXITMAP_TAKEN", "away")
        again(module, content, consensus)
        assert (os.environ["EXITMAP_TRIED"], os.environ.get("EXITMAP_TAKEN")) == ("set", None)
        assert (socket.getdefaulttimeout()) == 3.5
    finally:
        socket.setdefaulttimeout(None)
        os.environ.pop("EXITMAP_TRIED", None)


def test_a_consensus_is_told_by_fingerprint_and_parsed_where_it_is_looked_at(consensus: Consensus) -> None:
    first, second = consensus
    assert first == "0" * 39 + "4" and len(consensus) == 2 and second in consensus and "F" * 40 not in consensus
    assert (consensus[first].fingerprint, consensus[first].nickname, consensus[first].flags) == (
        first, "Q", ["Exit", "Running"],
    )  # fmt: skip


def test_an_exit_s_descriptor_is_stem_s_when_more_of_it_is_wanted() -> None:
    text = "router some 203.0.113.9 9001 0 0\nfingerprint " + "AB " * 20 + "\nreject *:25\naccept *:*\n"
    descriptor = ExitDescriptor("AB" * 20, text, "some", "203.0.113.9")
    assert (descriptor.nickname, descriptor.address, descriptor.fingerprint) == ("some", "203.0.113.9", "AB" * 20)
    assert descriptor.exit_policy.can_exit_to(port=80) and not descriptor.exit_policy.can_exit_to(port=25)
    from stem.descriptor.server_descriptor import ServerDescriptor

    assert isinstance(descriptor, ServerDescriptor)
    with pytest.raises(AttributeError):
        _ = descriptor.no_such_thing


def test_any_destination_is_in_what_can_not_be_told_one_by_one() -> None:
    universal = AnyDestination()
    assert ("192.0.2.1", 80) in universal and universal and len(universal) == sys.maxsize
    with pytest.raises(TypeError):
        iter(universal)  # type: ignore[call-overload]
