"""A tool's file is code: which files are never used, and what ./tools.d needs first."""

import os
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.tool_files import Catalogue, load_catalogue
from exitpin.wrappers.tool_layers import trusting
from exitpin.wrappers.tool_trust import SIZE_MAX, Refused, Trust, read_own, trust_file

from .tool_tables import MINIMAL, SCRIPT, made, named, put

OWNER = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A cloned repository with tools of its own."""
    return made(tmp_path / "clone" / "tools.d")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return made(tmp_path / "package")


def found(env: dict[str, str], clone: Path, package: Path) -> Catalogue:
    return load_catalogue(env, clone.parent, package=package, system=())


def test_what_a_clone_brings_along_is_not_used_before_it_is_trusted(
    env: dict[str, str], clone: Path, package: Path
) -> None:
    path = put(clone, "probe.toml", MINIMAL)
    entry = found(env, clone, package).entry("probe")
    assert entry.tool is not None, "it can be looked at"
    with pytest.raises(OperatorError) as caught:
        found(env, clone, package).tool("probe")
    told = str(caught.value)
    assert f"{path} is not trusted" in told
    assert told.endswith("type: exitpin tools trust ./tools.d/probe.toml")
    with pytest.raises(OperatorError, match="is not trusted"):
        found(env, clone, package).resolve(["probe"])

    Trust(env).give(trusting(path))
    assert found(env, clone, package).tool("probe").id == "probe"


def test_a_file_that_changes_has_to_be_trusted_again(env: dict[str, str], clone: Path, package: Path) -> None:
    path = put(clone, "probe.toml", MINIMAL)
    Trust(env).give(trusting(path))
    put(clone, "probe.toml", MINIMAL + "\n")
    with pytest.raises(OperatorError, match="has changed since you trusted it"):
        found(env, clone, package).tool("probe")


def test_a_tool_that_is_not_trusted_is_left_out_of_a_tag_with_a_note(
    env: dict[str, str], clone: Path, package: Path
) -> None:
    put(clone, "probe.toml", MINIMAL)
    put(package, "good.toml", named("good"))
    catalogue = found(env, clone, package)
    assert [tool.id for tool in catalogue.resolve(["@web"])] == ["good"]
    assert catalogue.notes[0].startswith("probe is left out: ")


def test_a_clone_can_neither_replace_nor_change_a_trusted_tool(env: dict[str, str], clone: Path, package: Path) -> None:
    put(package, "probe.toml", MINIMAL)
    assert found(env, clone, package).tool("probe").id == "probe"
    drop_in = put(clone, "probe.toml.d/x.toml", 'run.argv = ["rm", "-rf", "{{url}}"]\n')
    with pytest.raises(OperatorError, match=r"x\.toml is not trusted"):
        found(env, clone, package).tool("probe")
    drop_in.unlink()
    put(clone, "probe.toml", named("probe"))
    with pytest.raises(OperatorError, match=r"probe\.toml is not trusted"):
        found(env, clone, package).tool("probe")


def test_with_a_tool_its_scripts_and_drop_ins_are_trusted_and_each_of_them_counts(
    env: dict[str, str], clone: Path, package: Path
) -> None:
    argv = 'run.argv = ["sh", "{{tool_dir}}/scripts/own.sh", "{{url}}"]'
    text = "\n".join(argv if line.startswith("run.argv") else line for line in MINIMAL.splitlines())
    path = put(clone, "probe.toml", text)
    put(clone, "scripts/own.sh", "true\n")
    put(clone, "probe.toml.d/slow.toml", 'run.timeout = "9s"\n')
    Trust(env).give(trusting(path))
    assert found(env, clone, package).tool("probe").command.timeout_s == 9.0
    put(clone, "scripts/own.sh", "rm -rf ~\n")
    with pytest.raises(OperatorError, match=r"own\.sh has changed since you trusted it"):
        found(env, clone, package).tool("probe")


def test_a_folder_is_trusted_with_all_that_is_in_it_now(env: dict[str, str], clone: Path, package: Path) -> None:
    put(clone, "probe.toml", MINIMAL)
    put(clone, "scripts/redirects.sh", SCRIPT)
    Trust(env).give(trusting(clone))
    put(clone, "later.toml", named("later"))
    catalogue = found(env, clone, package)
    assert [tool.id for tool in catalogue.resolve(["probe", "redirects"])] == ["probe", "redirects"]
    with pytest.raises(OperatorError, match=r"later\.toml is not trusted"):
        catalogue.tool("later")


def test_who_names_a_file_trusts_it(env: dict[str, str], clone: Path, package: Path) -> None:
    put(clone, "probe.toml", MINIMAL)
    assert [tool.id for tool in found(env, clone, package).resolve(["./tools.d/probe.toml"])] == ["probe"]


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_refused_even_when_named(
    mode: int, env: dict[str, str], clone: Path, package: Path
) -> None:
    path = put(clone, "probe.toml", MINIMAL, mode)
    with pytest.raises(OperatorError, match=f"{path} is refused: it can be written by others; type: chmod go-w {path}"):
        found(env, clone, package).resolve(["./tools.d/probe.toml"])
    with pytest.raises(Refused):
        list(trusting(path))


def test_a_file_in_a_folder_that_others_can_write_is_refused(env: dict[str, str], clone: Path, package: Path) -> None:
    put(clone, "probe.toml", MINIMAL)
    clone.chmod(0o775)
    with pytest.raises(OperatorError, match=f"its folder {clone} can be written by others; type: chmod go-w {clone}"):
        found(env, clone, package).resolve(["./tools.d/probe.toml"])
    clone.chmod(0o1777)  # where only the owner of a file can replace it
    assert found(env, clone, package).resolve(["./tools.d/probe.toml"])


def test_a_link_is_judged_by_where_it_leads(env: dict[str, str], clone: Path, package: Path, tmp_path: Path) -> None:
    elsewhere = made(tmp_path / "elsewhere")
    target = put(elsewhere, "real.toml", MINIMAL)
    (clone / "probe.toml").symlink_to(target)
    assert read_own(clone / "probe.toml")
    elsewhere.chmod(0o777)
    with pytest.raises(Refused, match=f"its folder {elsewhere}"):
        read_own(clone / "probe.toml")


@OWNER
def test_a_file_of_another_user_is_refused(env: dict[str, str], clone: Path, package: Path) -> None:
    path = put(clone, "probe.toml", MINIMAL)
    os.chown(path, 12345, 12345)
    with pytest.raises(Refused, match=r"it belongs to another user \(uid 12345\); copy it"):
        read_own(path)
    os.chown(path, 0, 0)
    os.chown(clone, 12345, 12345)
    with pytest.raises(Refused, match=r"its folder .* belongs to another user"):
        read_own(path)


def test_what_is_no_plain_file_or_too_large_is_refused_without_waiting(clone: Path) -> None:
    os.mkfifo(clone / "pipe.toml", 0o600)
    with pytest.raises(Refused, match="no plain file"):
        read_own(clone / "pipe.toml")
    put(clone, "large.toml", "#" * (SIZE_MAX + 1))
    with pytest.raises(Refused, match="larger than 1 MiB"):
        read_own(clone / "large.toml")


def test_the_files_of_exitpin_are_trusted_as_its_code_is(env: dict[str, str], clone: Path, package: Path) -> None:
    put(package, "probe.toml", MINIMAL, 0o666)
    assert found(env, clone, package).tool("probe")


def test_the_list_of_trust_is_for_its_owner_alone(env: dict[str, str], clone: Path) -> None:
    path = put(clone, "probe.toml", MINIMAL)
    Trust(env).give(trusting(path))
    assert trust_file(env).stat().st_mode & 0o777 == 0o600
    Trust(env).give(trusting(put(clone, "other.toml", named("other"))))
    assert Trust(env).covers(path, path.read_bytes()), "what was trusted before stays so"
    assert [file.name for file in trust_file(env).parent.iterdir()] == ["trusted.json"]


def test_a_list_that_others_could_write_or_that_is_none_is_an_error(env: dict[str, str], clone: Path) -> None:
    path = put(clone, "probe.toml", MINIMAL)
    Trust(env).give(trusting(path))
    trust_file(env).chmod(0o666)
    with pytest.raises(OperatorError, match=r"trusted\.json: it can be written by others"):
        Trust(env).covers(path, b"")
    trust_file(env).chmod(0o600)
    trust_file(env).write_text("{")
    with pytest.raises(OperatorError, match="Remove it, and trust your tools anew"):
        Trust(env).covers(path, b"")


def test_without_a_home_nothing_is_trusted(clone: Path) -> None:
    assert not Trust({}).covers(clone / "probe.toml", b"")
    with pytest.raises(OperatorError, match="HOME is not set"):
        Trust({}).give([])
