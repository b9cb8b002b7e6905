"""What a plan names and is not there is told before anything begins."""

from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main

SCAN = '[[scan]]\nname = "{}"\ntools = {}\ninterval = "1h"\n'


def test_all_that_can_not_be_used_is_told_and_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scans = [
        SCAN.format("a", '["nosuch", "tls-cert"]'),
        SCAN.format("b", '["tls-cert"]') + 'params = { hst = "x" }\n',
        SCAN.format("c", '["./gone.toml"]'),
        SCAN.format("d", '["tls-cert"]') + 'params = { host = "www.example.org" }\n',
        SCAN.format("e", '["tls-cert"]') + 'alert = { on = ["tampered"], command = ["/no/pager"] }\n',
    ]
    Path("nightly.toml").write_text('schema = "exitpin.watch/1"\n' + "".join(scans))
    assert main(["watch", "nightly.toml", "--once", "--store", "results.sqlite"]) == 2
    said = capsys.readouterr().err
    assert "scan[0]: There is no tool 'nosuch'." in said
    assert "scan[1]: -p hst=...: no tool here has that parameter; did you mean host?" in said
    assert "scan[2]: " in said and "gone.toml: can't be read" in said
    assert "scan[4]: tls-cert: host " in said and "scan[3]" not in said
    assert "scan[4].alert.command: '/no/pager' is no command here." in said
    assert not Path("results.sqlite").exists()
