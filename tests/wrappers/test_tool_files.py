"""Where tools are found, which file holds, how drop-ins and scripts become part of a tool, and what breaks whom."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.tool_files import Catalogue, load_catalogue
from exitpin.wrappers.tool_tables import Merged, NoTable, script_block, toml, written

from .tool_tables import MINIMAL, SCRIPT, made, named, put

Catalog = Callable[[], Catalogue]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return made(tmp_path / "package")


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return made(tmp_path / "etc")


@pytest.fixture
def user(tmp_path: Path) -> Path:
    return made(tmp_path / "config" / "exitpin" / "tools.d")


@pytest.fixture
def catalogue(tmp_path: Path, package: Path, system: Path, user: Path) -> Catalog:
    """What is found now, from a folder without tools.d."""
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    return lambda: load_catalogue(env, tmp_path, package=package, system=[tmp_path / "not-there", system])


def test_a_later_layer_replaces_a_file_of_that_name_whole(
    catalogue: Catalog, package: Path, system: Path, user: Path
) -> None:
    put(package, "probe.toml", named("probe", "of exitpin"))
    put(package, "other.toml", named("other"))
    assert catalogue().tool("probe").summary == "of exitpin"
    put(system, "probe.toml", named("probe", "of the system"))
    assert catalogue().tool("probe").summary == "of the system"
    path = put(user, "probe.toml", named("probe", "of the user"))
    found = catalogue()
    assert (found.tool("probe").summary, found.tool("probe").path) == ("of the user", str(path))
    assert found.ids() == ["other", "probe"]


def test_drop_ins_of_every_layer_are_merged_on_top_and_lists_replace(
    catalogue: Catalog, package: Path, system: Path, user: Path
) -> None:
    base = put(package, "probe.toml", MINIMAL)
    slow = put(system, "probe.toml.d/slow.toml", 'run.timeout = "9s"\nparams.url.default = "http://etc.example/"\n')
    mine = put(user, "probe.toml.d/mine.toml", 'params.url.default = "http://mine.example/"\ntags = ["own"]\n')

    entry = catalogue().entry("probe")

    assert entry.tool is not None
    param = entry.tool.param("url")
    assert param is not None
    assert (entry.tool.command.timeout_s, param.default, param.type) == (9.0, "http://mine.example/", "url")
    assert (entry.tool.tags, entry.tool.path) == (("own",), str(base))
    origins = entry.merged.origins
    assert origins["params", "url", "default"] == str(mine)
    assert origins["params", "url", "type"] == str(base)
    assert origins["run", "timeout"] == str(slow)


def test_a_mistake_in_a_drop_in_is_told_of_the_drop_in(catalogue: Catalog, package: Path, user: Path) -> None:
    put(package, "probe.toml", MINIMAL)
    mine = put(user, "probe.toml.d/mine.toml", 'run.timeout = "soon"\n')
    assert catalogue().entry("probe").problems[0].startswith(f"{mine}: run.timeout: must be a time")


def test_a_drop_in_for_no_tool_is_found(catalogue: Catalog, user: Path) -> None:
    put(user, "prope.toml.d/mine.toml", "tags = []\n")
    assert catalogue().unfounded() == [user / "prope.toml.d"]


def test_the_merged_file_as_toml_names_the_origin_of_each_key(catalogue: Catalog, package: Path, user: Path) -> None:
    base = put(package, "probe.toml", MINIMAL)
    mine = put(user, "probe.toml.d/mine.toml", 'params.url.default = "http://mine.example/"\nrun.timeout = "9s"\n')
    merged = catalogue().entry("probe").merged
    text = written(merged)
    assert tomllib.loads(text) == merged.table
    assert f'params.url.default = "http://mine.example/"  # {mine}\n' in text
    assert f'params.url.type = "url"  # {base}\n' in text
    assert f'run.timeout = "9s"  # {mine}\n' in text
    assert text.startswith('schema = "exitpin.tool/1"')


@pytest.mark.parametrize(
    "value",
    [
        *("plain", 'a"b', "back\\slash", "it's \\d", "line\nbreak", "\x1b[31m", "\x7f\x9b", "\U0001f600"),
        *(1, 1.5, True, ["a", 1], [], {"a b": {"c": [{"d": 'x"y'}]}}, {}),
    ],
)
def test_any_value_survives_being_written_and_no_terminal_obeys_it(value: object) -> None:
    text = toml(value)
    assert tomllib.loads(f"x = {text}") == {"x": value}
    assert text.isprintable()


def test_tables_merge_and_everything_else_replaces() -> None:
    merged = Merged()
    merged.add({"a": {"b": 1, "c": [1, 2]}, "d": {"x": 1}, "e": {"y": 1}}, "one")
    merged.add({"a": {"c": [3]}, "d": 5, "e": {}}, "two")
    assert merged.table == {"a": {"b": 1, "c": [3]}, "d": 5, "e": {"y": 1}}
    assert merged.origins == {("a", "b"): "one", ("a", "c"): "two", ("d",): "two", ("e", "y"): "one"}


def test_the_digest_is_that_of_the_content_and_not_of_its_spelling(catalogue: Catalog, user: Path) -> None:
    put(user, "probe.toml", MINIMAL)
    first = catalogue().tool("probe").digest
    put(user, "probe.toml", "# a comment\n" + MINIMAL.replace("  {", "    {"))
    assert catalogue().tool("probe").digest == first
    put(user, "probe.toml.d/mine.toml", 'run.timeout = "9s"\n')
    assert catalogue().tool("probe").digest != first


def test_a_changed_script_makes_another_tool(catalogue: Catalog, user: Path) -> None:
    put(user, "scripts/redirects.sh", SCRIPT)
    first = catalogue().tool("redirects").digest
    put(user, "scripts/redirects.sh", SCRIPT + "true\n")
    assert catalogue().tool("redirects").digest != first

    argv = 'run.argv = ["sh", "{{tool_dir}}/scripts/own.sh", "{{url}}"]'
    put(user, "probe.toml", "\n".join(argv if line.startswith("run.argv") else line for line in MINIMAL.splitlines()))
    put(user, "scripts/own.sh", "true\n")
    own = catalogue().tool("probe").digest
    put(user, "scripts/own.sh", "false\n")
    assert catalogue().tool("probe").digest != own
    (user / "scripts" / "own.sh").unlink()
    with pytest.raises(OperatorError, match=r"own\.sh: can't be read"):
        catalogue().tool("probe")


def test_a_script_carries_its_own_table_and_one_without_is_no_tool(catalogue: Catalog, user: Path) -> None:
    path = put(user, "scripts/redirects.sh", SCRIPT)
    put(user, "scripts/other.sh", "true\n")
    found = catalogue()
    tool = found.tool("redirects")
    assert found.ids() == ["redirects"]
    assert (tool.script, tool.path, tool.command.argv[:2]) == (str(path), str(path), ("sh", "{{script}}"))
    assert [(extract.name, extract.source) for extract in tool.extracts] == [("location", "facts")]


def test_a_script_that_is_run_by_itself_must_be_executable(catalogue: Catalog, user: Path) -> None:
    text = SCRIPT.replace('["sh", "{{script}}"', '["{{script}}"')
    path = put(user, "scripts/redirects.sh", text)
    with pytest.raises(OperatorError, match=f"type chmod \\+x {path}"):
        catalogue().tool("redirects")
    path.chmod(0o755)
    assert catalogue().tool("redirects").command.argv[0] == "{{script}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SCRIPT.replace("# ///\n", ""), "has no end"),
        (SCRIPT.replace("#\n", "\n"), "has no end"),
        (SCRIPT + SCRIPT, "has two"),
    ],
)
def test_a_block_that_is_none_is_told(text: str, told: str) -> None:
    with pytest.raises(NoTable, match=told):
        script_block(text.encode())


def test_a_block_with_other_line_ends_and_other_blocks_is_read() -> None:
    text = "# /// script\n# x = 1\n# ///\n" + SCRIPT
    assert script_block(text.replace("\n", "\r\n").encode()) == script_block(SCRIPT.encode())
    assert script_block(b"# /// script\n# x = 1\n# ///\n") is None


def test_broken_files_do_not_hide_the_good_ones(catalogue: Catalog, user: Path) -> None:
    put(user, "good.toml", named("good"))
    put(user, "broken.toml", named("broken").replace("summary", "sumary"))
    put(user, "worse.toml", "id = ")
    put(user, "binary.toml", "").write_bytes(b"\xff\xfe")
    put(user, "scripts/cut.sh", SCRIPT.replace("# ///\n", ""))
    found = catalogue()
    assert found.ids() == ["binary", "broken", "cut", "good", "worse"]
    assert found.tool("good").id == "good"
    assert [tool.id for tool in found.tagged("web")] == ["good"]
    assert found.notes == [f"broken is left out: {found.entry('broken').problems[0]}"]
    for tool_id in ("broken", "worse", "binary", "cut"):
        with pytest.raises(OperatorError, match=f"{tool_id}\\.(toml|sh): "):
            found.tool(tool_id)


def test_words_are_ids_tags_and_paths_and_each_tool_comes_once(catalogue: Catalog, user: Path, tmp_path: Path) -> None:
    put(user, "a.toml", named("a"))
    put(user, "b.toml", named("b").replace('["web"]', '["other"]'))
    put(tmp_path, "c.toml", named("c"))
    put(tmp_path, "redirects.sh", SCRIPT)

    def ids(*words: str) -> list[str]:
        return [tool.id for tool in catalogue().resolve(words)]

    assert ids("b", "@web", "a") == ["b", "a"]
    assert ids("@all") == ["a", "b"]
    assert ids("./c.toml", str(tmp_path / "redirects.sh")) == ["c", "redirects"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("prode", "There is no tool 'prode'. Did you mean probe?"),
        ("zzz", "There is no tool 'zzz'. `exitpin tools list` shows all."),
        ("probe.toml", "There is no tool 'probe.toml'. For a file write its path: ./probe.toml"),
        ("@wep", "No tool has the tag 'wep'. Did you mean @web?"),
        ("@zzz", "No tool has the tag 'zzz'. There are all, web."),
        ("./x.toml", "x.toml: can't be read: No such file or directory"),
        ("./plain.sh", "plain.sh: has no `# /// exitpin` block"),
        ("./folder/probe.toml", "probe.toml are both probe. Name one of them."),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    word: str, told: str, catalogue: Catalog, user: Path, tmp_path: Path
) -> None:
    put(user, "probe.toml", MINIMAL)
    put(tmp_path, "plain.sh", "true\n")
    put(tmp_path, "folder/probe.toml", MINIMAL)
    with pytest.raises(OperatorError) as caught:
        catalogue().resolve(["probe", word])
    assert told in str(caught.value)


def test_two_files_of_a_layer_that_are_the_same_tool_are_told(catalogue: Catalog, user: Path) -> None:
    put(user, "scripts/redirects.sh", SCRIPT)
    put(user, "redirects.toml", named("redirects"))
    assert catalogue().doubles() == [
        f"{user}/redirects.toml: {user}/scripts/redirects.sh is the same tool; rename one of them"
    ]


def test_an_id_that_is_not_the_files_name_is_refused(catalogue: Catalog, user: Path) -> None:
    put(user, "other.toml", MINIMAL)
    with pytest.raises(OperatorError, match='write id = "other", or rename the file'):
        catalogue().tool("other")


def test_the_tools_that_come_with_exitpin_are_right(tmp_path: Path) -> None:
    found = load_catalogue({"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path, system=())
    problems = [line for tool_id in found.ids() for line in found.entry(tool_id).problems]
    assert problems == []


def test_a_folder_that_is_a_layer_already_is_not_another(tmp_path: Path) -> None:
    package = made(tmp_path / "tools.d")
    put(package, "probe.toml", MINIMAL)
    found = load_catalogue({}, tmp_path, package=package, system=())
    assert found.tool("probe").id == "probe"  # and needs no trust


def test_nothing_is_read_twice(catalogue: Catalog, user: Path) -> None:
    path = put(user, "probe.toml", MINIMAL)
    found = catalogue()
    tool = found.tool("probe")
    path.unlink()
    assert found.tool("probe") is tool
    assert json.dumps(found.entry("probe").merged.table)
