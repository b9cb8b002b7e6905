"""`exitpin config show`, as a user calls it."""

import argparse
import json
import tomllib
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import config


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser()
    config.register(whole.add_subparsers(required=True))
    return whole


@pytest.fixture(autouse=True)
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "exitpin" / "config.toml"
    path.parent.mkdir()
    path.write_text('rate = "20/m"\ndestinations = ["example.org:25"]\nbuild_delay = 0.25\n')
    return path


def show(parser: argparse.ArgumentParser, *options: str) -> int:
    args = parser.parse_args(["config", "show", *options])
    status: int = args.execute(args)
    return status


def test_what_is_shown_is_a_configuration_file(
    parser: argparse.ArgumentParser, user_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(parser) == 0
    text = capsys.readouterr().out
    shown = tomllib.loads(text)
    assert shown["rate"] == "20/m"
    assert shown["build_delay"] == "0.25s"
    assert shown["destinations"] == ["example.org:25"]
    assert f"# {user_file}\n" in text
    assert "# control is not set" in text

    user_file.write_text(text)
    assert show(parser) == 0
    assert tomllib.loads(capsys.readouterr().out) == shown


def test_json_tells_value_and_origin(
    parser: argparse.ArgumentParser, user_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(parser, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rate"] == {"value": "20/m", "origin": str(user_file)}
    assert shown["timeout"] == {"value": 120.0, "origin": "built-in"}
    assert shown["control"] == {"value": None, "origin": "built-in"}


def test_parameters_of_tools_are_shown_with_their_origin(
    parser: argparse.ArgumentParser, user_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user_file.write_text('[params.tls-cert]\nhost = "web.example"\nempty = ""\n')
    assert show(parser) == 0
    text = capsys.readouterr().out
    assert tomllib.loads(text)["params"] == {"tls-cert": {"host": "web.example", "empty": ""}}
    assert f'params.tls-cert.host = "web.example" # {user_file}' in text

    assert show(parser, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["params.tls-cert.host"] == {"value": "web.example", "origin": str(user_file)}
