"""torsocks.conf and TORSOCKS_* by name; and the `torsocks` and `torify` that stand in a run's PATH."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.torsocks import TorsocksSettings, passthrough_dir, read_torsocks_settings

NO_FILE = Path("/nonexistent/torsocks.conf")

FULL = """\
# a comment
TorAddress 10.1.4.253   # as in the manual
  TorPort\t9150
OnionAddrRange 127.99.0.0/16
SOCKS5Username me
SOCKS5Password with a space
AllowInbound 1

AllowOutboundLocalhost 2
EnableIPv6 1
"""


def write(folder: Path, text: str) -> dict[str, str]:
    """An environment that names a file with this text."""
    path = folder / "torsocks.conf"
    path.write_text(text)
    return {"TORSOCKS_CONF_FILE": str(path)}


def test_every_directive_is_read_by_its_name(tmp_path: Path) -> None:
    settings = read_torsocks_settings(write(tmp_path, FULL))
    assert settings.tor_address == "10.1.4.253"
    assert settings.tor_port == 9150
    assert settings.onion_addr_range == "127.99.0.0/16"
    assert (settings.socks5_username, settings.socks5_password) == ("me", "with a space")
    assert (settings.allows_listen, settings.allows_loopback_tcp, settings.allows_ipv6) == (True, True, True)
    assert settings.origins["TorPort"] == f"{tmp_path}/torsocks.conf:3"
    assert "with a space" not in repr(settings)


def test_variables_win_over_the_file(tmp_path: Path) -> None:
    env = write(tmp_path, FULL) | {
        "TORSOCKS_TOR_ADDRESS": "::1",
        "TORSOCKS_TOR_PORT": "9999",
        "TORSOCKS_USERNAME": "u",
        "TORSOCKS_PASSWORD": "p",
        "TORSOCKS_ALLOW_INBOUND": "0",
        "TORSOCKS_ISOLATE_PID": "0",
        "TORSOCKS_ENABLE_IPV6": "0",
    }
    settings = read_torsocks_settings(env)
    assert (settings.tor_address, settings.tor_port) == ("::1", 9999)
    assert (settings.socks5_username, settings.socks5_password) == ("u", "p")
    assert (settings.allows_listen, settings.isolate_pid, settings.allows_ipv6) == (False, False, False)
    assert settings.origins["TorPort"] == "TORSOCKS_TOR_PORT"


def test_without_a_file_torsocks_defaults_hold() -> None:
    assert read_torsocks_settings({}, NO_FILE) == TorsocksSettings()
    assert TorsocksSettings().allows_ipv6 is None
    assert TorsocksSettings().notes() == ()


def test_the_file_that_debian_ships_is_read_without_a_note() -> None:
    shipped = Path("/etc/tor/torsocks.conf")
    if not shipped.exists():
        pytest.skip("torsocks is not installed")
    assert read_torsocks_settings({}, shipped).notes() == ()


def test_all_errors_name_file_line_key_and_valid_values(tmp_path: Path) -> None:
    env = write(
        tmp_path, "TorPort 0\nTorAdress 127.0.0.1\nAllowInbound yes\nOnionAddrRange 127.0.0.1\nTorAddress localhost\n"
    )
    with pytest.raises(OperatorError) as caught:
        read_torsocks_settings(env | {"TORSOCKS_ISOLATE_PID": "2"})
    path = tmp_path / "torsocks.conf"
    names = "TorAddress, TorPort, OnionAddrRange, SOCKS5Username, SOCKS5Password, AllowInbound, AllowOutboundLocalhost"
    assert caught.value.message.splitlines() == [
        f"{path}:1: TorPort: '0' is not a port from 1 to 65535",
        f"{path}:2: TorAdress: no such directive; valid are {names}, IsolatePID, EnableIPv6",
        f"{path}:3: AllowInbound: 'yes' is not 0 or 1",
        f"{path}:4: OnionAddrRange: '127.0.0.1' is not an IPv4 network such as 127.42.42.0/24",
        f"{path}:5: TorAddress: 'localhost' is not an IP address",
        "TORSOCKS_ISOLATE_PID: IsolatePID: '2' is not 0 or 1",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SOCKS5Username me\n", "SOCKS5Username needs SOCKS5Password"),
        ("SOCKS5Password me\n", "SOCKS5Password needs SOCKS5Username"),
        ("IsolatePID 1\nSOCKS5Username a\nSOCKS5Password b\n", "IsolatePID 1 can't stand beside SOCKS5Username"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        read_torsocks_settings(write(tmp_path, text))


def test_a_named_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OperatorError, match=r"TORSOCKS_CONF_FILE: /nonexistent/torsocks\.conf: No such file"):
        read_torsocks_settings({"TORSOCKS_CONF_FILE": str(NO_FILE)})


def test_what_a_run_does_not_follow_is_said(tmp_path: Path) -> None:
    notes = read_torsocks_settings(write(tmp_path, FULL)).notes()
    path = f"{tmp_path}/torsocks.conf"
    assert notes == (
        f"{path}:2: TorAddress is not followed: a run has its own tor",
        f"{path}:3: TorPort is not followed: a run has its own tor",
        f"{path}:4: OnionAddrRange is not followed: names are mapped to addresses of exitpin's own",
        f"{path}:5: SOCKS5Username is not followed: a run has a circuit of its own, and its user names carry the proof",
        f"{path}:6: SOCKS5Password is not followed: a run has a circuit of its own, and its user names carry the proof",
        f"{path}:9: AllowOutboundLocalhost 2 is taken for 1: datagrams are refused, to this machine as well",
    )


Done = subprocess.CompletedProcess[str]


def in_run(*argv: str, **variables: str) -> Done:
    """Run argv with the PATH of a run, and EXITPIN=1 unless `variables` says otherwise."""
    env = {"PATH": f"{passthrough_dir()}:{os.defpath}", "EXITPIN": "1", "LD_PRELOAD": ""} | variables
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=20, check=False)


NOTE = "is ignored: this run has its own tor and its own circuit"


@pytest.mark.parametrize("command", ["torsocks", "torify"])
def test_the_command_runs_with_its_arguments_and_its_status(command: str) -> None:
    done = in_run(command, "sh", "-c", 'printf "<%s>" "$@"; exit 7', "sh", "a b", "-p", "", "*")
    assert (done.returncode, done.stdout, done.stderr) == (7, "<a b><-p><><*>", "")


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (["-d", "-6"], 0),
        (["--"], 0),
        (["-u", "me", "-p", "secret"], 2),
        (["--user", "me", "--pass", "secret", "-i"], 3),
        (["-a", "10.0.0.1", "-P", "9150"], 2),
        (["--address", "10.0.0.1", "--port", "9150"], 2),
        (["-q", "-a", "10.0.0.1"], 0),
    ],
)
def test_options_that_would_change_the_exit_are_noted_and_the_command_still_runs(
    options: list[str], notes: int
) -> None:
    done = in_run("torsocks", *options, "sh", "-c", "echo ran; env")
    assert done.stdout.startswith("ran\n")
    assert len(done.stderr.splitlines()) == notes
    assert "TORSOCKS_" not in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_the_command_replaces_the_script() -> None:
    done = in_run("sh", "-c", "echo $$; exec torsocks sh -c 'echo $$'")
    first, second = done.stdout.split()
    assert first == second


def test_a_wrapper_in_a_wrapper_passes_through() -> None:
    assert in_run("torify", "-v", "torsocks", "-i", "torify", "echo", "x").stdout == "x\n"


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh"])
@pytest.mark.parametrize("word", ["on", "off"])
def test_sourcing_it_changes_nothing_and_the_caller_goes_on(shell: str, word: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    done = in_run(shell, "-ec", f'. torsocks {word}; echo "$LD_PRELOAD"; command -v exitpin_torsocks_main || echo gone')
    assert (done.returncode, done.stdout) == (0, "\ngone\n")
    assert "pinned to its exit" in done.stderr


def test_show_prints_the_preload_of_the_run() -> None:
    for word in ("show", "sh"):
        assert in_run("torsocks", word).stdout == 'LD_PRELOAD=""\n'


def test_a_shell_is_the_users_shell() -> None:
    assert in_run("torsocks", "--shell", SHELL="/bin/echo").stdout == "\n"


def test_version_and_help_are_data_and_missing_arguments_an_error() -> None:
    assert in_run("torsocks", "--version").stdout.startswith("Torsocks 2.")
    assert "usage: torsocks" in in_run("torsocks", "-h").stdout
    assert "Usage: torify" in in_run("torify", "-h").stdout
    for argv in (["torsocks"], ["torify"], ["torsocks", "-u"], ["torsocks", "-P", ""]):
        done = in_run(*argv)
        assert (done.returncode, done.stdout) == (1, "")


def test_a_command_that_is_not_there_is_127() -> None:
    done = in_run("torsocks", "no-such-command")
    assert (done.returncode, done.stderr) == (127, "torsocks (exitpin): no-such-command cannot be found\n")


@pytest.mark.parametrize("command", ["torsocks", "torify"])
def test_outside_a_run_nothing_is_started(command: str) -> None:
    done = in_run(command, "echo", "leak", EXITPIN="")
    assert (done.returncode, done.stdout) == (125, "")
