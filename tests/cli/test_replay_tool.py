"""The tool of a recorded run: whether it is what it was, and whether it is asked what it was asked."""

from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit.keys import audit_key, run_key
from exitpin.orchestrator.audit.params import bind
from exitpin.orchestrator.cli.replay_tool import OTHER_PARAMETERS, OTHER_TOOL, ToolAgain, tool_again
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.wrappers.tool_files import load_catalogue

EXIT = "E1" * 20
TOOL = """
schema = "exitpin.tool/1"
id = "sec"
summary = "Does a page with a token come as it should?"
params.url = { type = "url", lab = "http://web.test/ip" }
params.token = { secret = true, lab = "of-the-lab" }
destination = [{ url = "{{url}}" }]
run.argv = ["curl", "-H", "X-T: {{token}}", "{{url}}"]
verdict = [{ status = "ok" }]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sec.toml"
    path.write_text(TOOL)
    return path


def recorded(file: Path, **given: str) -> dict[str, Any]:
    """A run of that file, with these parameters."""
    (tool,) = load_catalogue({}, file.parent).resolve([str(file)])
    bound = bind(tool, given, {}, is_lab=True)
    params = {name: "(secret)" if name in bound.secret else value for name, value in bound.values.items()}
    return {
        "run_id": "s1-0001",
        "key": run_key(audit_key(tool.digest, bound.values), EXIT),
        "exit": {"fingerprint": EXIT},
        "tool": {"id": "sec", "digest": tool.digest, "params": params},
    }


def again(file: Path, record: dict[str, Any], *words: str, anyway: bool = False, **configured: str) -> ToolAgain:
    return tool_again(
        record, str(file), load_catalogue({}, file.parent), words, {"sec": configured}, anyway=anyway, is_lab=True
    )


def test_the_same_secret_makes_it_the_same_question(file: Path) -> None:
    found = again(file, recorded(file, token="hunter22"), "token=hunter22")
    assert found.bound.values == {"url": "http://web.test/ip", "token": "hunter22"}
    assert (found.tool.id, found.caveats) == ("sec", ())


def test_a_secret_that_was_a_default_need_not_be_given(file: Path) -> None:
    assert again(file, recorded(file)).caveats == ()


@pytest.mark.parametrize("words", [(), ("token=other",), ("sec.token=",)])
def test_another_secret_or_none_is_refused(words: tuple[str, ...], file: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        again(file, recorded(file, token="hunter22"), *words)
    assert caught.value.message == "sec has other parameters than in run s1-0001."
    assert caught.value.hint == "Give token as it was then: -p sec.token=... Or --anyway asks as it is now."
    assert caught.value.exit_status == EXIT_USAGE


def test_whoever_asks_anyway_is_told_that_the_parameters_may_differ(file: Path) -> None:
    found = again(file, recorded(file, token="hunter22"), "token=other", anyway=True)
    assert (found.bound.values["token"], found.caveats) == ("other", (OTHER_PARAMETERS,))


def test_a_changed_file_is_refused_and_its_parameters_are_compared_all_the_same(file: Path) -> None:
    record = recorded(file, token="hunter22")
    file.write_text(TOOL.replace('"curl",', '"curl", "-q",'))
    with pytest.raises(OperatorError, match="sec has changed since run s1-0001"):
        again(file, record, "token=hunter22")
    assert again(file, record, "token=hunter22", anyway=True).caveats == (OTHER_TOOL,)
    assert again(file, record, "token=other", anyway=True).caveats == (OTHER_TOOL, OTHER_PARAMETERS)


def test_a_parameter_that_was_recorded_is_not_to_be_given(file: Path) -> None:
    with pytest.raises(OperatorError, match="-p url: a replay has the recorded parameters"):
        again(file, recorded(file), "url=http://web.test/")


def test_a_parameter_in_which_a_secret_was_hidden_can_be_given_again(file: Path) -> None:
    record = recorded(file, token="hunter22", url="http://web.test/hunter22")
    record["tool"]["params"]["url"] = "http://web.test/(secret)"
    with pytest.raises(OperatorError, match="Give token, url as it was then"):
        again(file, record, "token=hunter22")
    assert again(file, record, "token=hunter22", "url=http://web.test/hunter22").caveats == ()


def test_a_secret_of_the_configuration_is_asked_with_again(file: Path) -> None:
    file.write_text(TOOL.replace(', lab = "of-the-lab"', ""))
    assert again(file, recorded(file, token="hunter22"), token="hunter22").caveats == ()


def test_a_record_without_a_key_is_not_known_to_be_the_same_question(file: Path) -> None:
    record = {**recorded(file), "key": None}
    with pytest.raises(OperatorError, match="other parameters"):
        again(file, record)
    assert again(file, record, anyway=True).caveats == (OTHER_PARAMETERS,)
