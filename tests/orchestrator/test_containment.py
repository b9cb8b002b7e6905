"""Which level comes of what was asked for and what the kernel has; none is ever given up silently."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from exitpin.orchestrator.containment import (
    ADDRESSES,
    APART,
    ATTRIBUTES,
    AUTOMOUNTERS,
    DAEMONS,
    FILES,
    GROUPS,
    INHERITED,
    LISTENING,
    PIPES,
    PROC,
    PROCESSES,
    QUEUES,
    SETTINGS,
    SIGNALS,
    TAPS,
    TERMINALS,
    Abilities,
    contain,
    of_run,
)
from exitpin.orchestrator.errors import OperatorError

NO = "the kernel has no seccomp user notification"
OLD, NEW, ASKING = Abilities(0, NO), Abilities(4), Abilities(0)


@pytest.mark.parametrize(
    ("asked", "abilities", "level"),
    [
        (None, NEW, "guard"),
        ("guard", NEW, "guard"),
        ("shim", NEW, "shim"),
        (None, OLD, "shim"),
        ("shim", OLD, "shim"),
        (None, ASKING, "notify"),
        ("guard", ASKING, "notify"),
        ("notify", NEW, "notify"),
    ],
)
def test_without_a_word_it_is_the_firmest_that_there_is(asked: str | None, abilities: Abilities, level: str) -> None:
    containment = contain(asked, abilities)
    assert (containment.level, containment.asked) == (level, asked)
    assert bool(containment.warning) == (level == "shim")


@pytest.mark.parametrize(
    ("asked", "abi", "why"),
    [
        ("guard", 0, "the kernel has no Landlock, and network rules come with ABI 4"),
        ("guard", 3, "Landlock has ABI 3, and network rules come with ABI 4"),
        ("notify", 7, "the kernel has no seccomp user notification"),
    ],
)
def test_less_than_was_asked_for_is_refused_with_the_reason(asked: str, abi: int, why: str) -> None:
    with pytest.raises(OperatorError, match=f"containment level {asked} is not there: {why}"):
        contain(asked, Abilities(abi, NO))


def test_a_record_says_what_stays_open() -> None:
    assert contain(None, NEW).told() == {
        "level": "guard",
        "asked": None,
        "why": None,
        "allowed": [],
        "read_only": False,
        "dns_server": None,
        "open": [DAEMONS, PIPES, QUEUES, TERMINALS, TAPS, GROUPS, SIGNALS, INHERITED, FILES, ADDRESSES],
    }
    assert GROUPS not in contain("notify", replace(NEW, has_namespaces=True)).open
    assert LISTENING in contain(None, NEW, may_listen=True).open
    assert LISTENING not in contain("notify", NEW, may_listen=True).open
    assert "/run/x" in contain(None, NEW, unix=["/run/x"]).open
    assert {"raw system calls", DAEMONS, PIPES, PROCESSES} <= set(contain("shim", NEW).open)


@pytest.mark.parametrize(
    ("level", "abi", "is_open"),
    [
        ("guard", 6, []), ("guard", 5, [SIGNALS]),
        ("notify", 6, []), ("notify", 4, [SIGNALS]), ("notify", 3, [SIGNALS]), ("notify", 1, [PROCESSES]),
    ],
)  # fmt: skip
def test_what_landlock_lacks_is_open(level: str, abi: int, is_open: list[str]) -> None:
    containment = contain(level, Abilities(abi, has_namespaces=True))
    assert [one for one in containment.open if one in (SIGNALS, PROCESSES)] == is_open
    assert containment.is_guarded == (abi >= 4)
    assert containment.is_alone == (abi >= 2)


def test_a_landlock_that_is_refused_keeps_nobody_apart() -> None:
    assert PROCESSES in contain("notify", Abilities(3, guard_refusal="by a container")).open


def test_a_level_satisfies_those_below_it() -> None:
    guard = contain(None, NEW)
    assert [guard.satisfies(level) for level in ("shim", "guard", "notify")] == [True, True, False]


@pytest.mark.parametrize(
    ("asked", "wants", "level"),
    [
        (None, "notify", "notify"), ("shim", "notify", "notify"), ("guard", "notify", "notify"),
        ("notify+netns", "notify", "notify+netns"), ("shim", "guard", "guard"), ("notify", "guard", "notify"),
    ],
)  # fmt: skip
def test_what_is_to_be_run_may_want_more_than_was_asked_for_and_never_gets_less(
    asked: str | None, wants: str, level: str
) -> None:
    able = Abilities(6, has_namespaces=True)
    containment = contain(asked, able, wanted={"shim": "any", wants: "it is static"})
    assert (containment.level, containment.asked) == (level, asked)
    assert containment.why == ("it is static" if level == wants else "")


@pytest.mark.parametrize(("asked", "level"), [(None, "guard"), ("shim", "shim"), ("guard", "guard")])
def test_what_is_wanted_and_not_there_is_for_others_to_refuse(asked: str | None, level: str) -> None:
    containment = contain(asked, Abilities(4, NO), wanted={"notify": "it is static"})
    assert (containment.level, containment.why) == (level, "")


def test_a_record_says_why_it_is_another_level() -> None:
    assert contain("guard", NEW).told()["why"] is None
    assert contain("guard", ASKING).told()["why"] == contain(None, ASKING).told()["why"] == ASKING.guard_problem
    assert contain(None, OLD).told()["why"] == OLD.guard_problem
    assert contain("shim", NEW, wanted={"notify": "it is static"}).told()["why"] == "it is static"


def test_the_guard_hides_daemons_where_it_can_and_a_supervisor_is_asked_for_each() -> None:
    able = Abilities(6, has_namespaces=True)
    assert contain("guard", able).open == (INHERITED, FILES, ADDRESSES)
    assert contain("notify", able).open == (INHERITED, FILES, ADDRESSES)
    assert contain("notify+netns", able).open == (INHERITED, FILES, PROC)
    assert not contain("notify", able).is_hiding


@pytest.mark.parametrize("level", ["guard", "notify", "notify+netns"])
def test_named_pipes_are_hidden_at_each_level_that_has_a_mount_namespace(level: str) -> None:
    able = Abilities(6, has_namespaces=True)
    held = contain(level, able, pipes=["/run/p"])
    assert PIPES not in held.open and held.open[-1] == "/run/p"
    assert PIPES in replace(held, finds_pipes=False).open
    assert held.told()["allowed"] == ["pipe:/run/p"]
    if level != "notify+netns":
        assert PIPES in contain(level, Abilities(6)).open


@pytest.mark.parametrize("level", ["shim", "guard", "notify", "notify+netns"])
def test_an_automounter_is_open_at_each_level_while_there_is_one(level: str) -> None:
    able = Abilities(6, has_namespaces=True)
    assert AUTOMOUNTERS not in contain(level, able).open
    found = replace(able, has_automounter=True)
    assert AUTOMOUNTERS in contain(level, found).open
    if level != "shim":
        assert AUTOMOUNTERS in contain(level, found, is_read_only=True).open


@pytest.mark.parametrize("is_read_only", [False, True])
def test_devices_that_carry_frames_are_closed_by_mounts_of_the_runs_own_and_by_nothing_else(is_read_only: bool) -> None:
    assert TAPS in contain("guard", Abilities(6), is_read_only=is_read_only).open
    assert TAPS not in contain("guard", Abilities(6, has_namespaces=True), is_read_only=is_read_only).open
    assert TAPS in contain("shim", Abilities(6, has_namespaces=True)).open


@pytest.mark.parametrize("asked", APART)
def test_a_network_of_its_own_comes_with_a_supervisor(asked: str) -> None:
    able = replace(NEW, has_namespaces=True)
    held = contain(asked, able)
    assert (held.level, held.asked) == ("notify+netns", asked)
    assert "a supervisor makes the sockets" in held.why
    with pytest.raises(OperatorError, match="notify"):
        contain(asked, replace(able, notify_problem="no listener"))


def test_a_network_of_its_own_wants_namespaces() -> None:
    with pytest.raises(OperatorError, match="no namespaces can be made here"):
        contain("notify+netns", Abilities(6))


@pytest.mark.parametrize(
    ("level", "abilities", "idle"),
    [
        ("shim", NEW, ["--dns-server"]),
        ("guard", NEW, ["--dns-server"]),
        ("guard", Abilities(6), ["--dns-server", "--allow unix:@name"]),
        ("notify", Abilities(6), ["--dns-server"]),
        ("notify", Abilities(6, has_namespaces=True), []),
        ("notify+netns", Abilities(6, has_namespaces=True), ["--allow unix:@name"]),
    ],
)
def test_what_can_have_no_effect_is_known(level: str, abilities: Abilities, idle: list[str]) -> None:
    """A name server takes a network that leads nowhere; abstract sockets Landlock closes, too."""
    containment = contain(level, abilities, unix=["@name", "/run/x"], dns_server="192.0.2.53")
    assert [one.partition(" has no effect: ")[0] for one in containment.idle] == idle


def test_a_record_tells_what_held_its_own_run() -> None:
    hiding = contain("guard", Abilities(6, has_namespaces=True))
    scan = {"scan_id": "s", "containment": hiding.told()}
    assert of_run(scan, SimpleNamespace(containment=hiding)) == scan
    told = of_run(scan, SimpleNamespace(containment=replace(hiding, finds_all=False)))["containment"]
    assert told == {**hiding.told(), "open": [DAEMONS, *hiding.open]}
    assert [of_run(scan, launch) for launch in (None, object())] == [scan, scan]


@pytest.mark.parametrize("level", ["guard", "notify", "notify+netns"])
def test_where_no_file_can_be_changed_nobody_acts_on_one(level: str) -> None:
    able = Abilities(6, has_namespaces=True, is_root=True)
    closed = contain(level, able, is_read_only=True)
    assert {FILES, SETTINGS, PIPES, GROUPS}.isdisjoint(closed.open)
    assert ATTRIBUTES in closed.open
    assert {FILES, SETTINGS} <= set(contain(level, able).open)
    bare = replace(able, has_namespaces=False)
    if level != "notify+netns":
        assert {PIPES, GROUPS}.isdisjoint(contain(level, bare, is_read_only=True).open)
        assert PIPES in contain(level, bare, is_read_only=True, writes=["/tmp"]).open


def test_what_may_be_written_to_is_open_and_told() -> None:
    held = contain("guard", Abilities(6), is_read_only=True, writes=["/srv/out"])
    assert held.open[-1] == "/srv/out"
    assert (held.told()["read_only"], held.told()["allowed"]) == (True, ["write:/srv/out"])


@pytest.mark.parametrize(
    ("level", "abilities", "why"),
    [
        ("shim", Abilities(6), "--read-only wants guard or notify"),
        (None, OLD, "--read-only is not there: the kernel has no Landlock, and all rules for files come with ABI 3"),
        ("notify", Abilities(2), "--read-only is not there: Landlock has ABI 2"),
        ("notify", Abilities(6, guard_refusal="refused here"), "--read-only is not there: refused here"),
    ],
)
def test_read_only_is_never_given_up_silently(level: str | None, abilities: Abilities, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        contain(level, abilities, is_read_only=True)
