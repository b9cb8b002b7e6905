"""Settings: which layer wins, what is refused, and what a start pays for them."""

import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.rate import Rate
from exitpin.orchestrator.settings import KEYS, Settings, config_files, load_settings

NOWHERE = Path("/nonexistent/config.toml")
FINGERPRINT = "A" * 40


def write_user_file(home: Path, text: str) -> dict[str, str]:
    """An environment whose user file holds `text`."""
    path = home / "exitpin" / "config.toml"
    path.parent.mkdir()
    path.write_text(text)
    return {"XDG_CONFIG_HOME": str(home)}


def test_without_any_file_all_is_built_in() -> None:
    assert load_settings({}, system_file=NOWHERE) == Settings()
    assert Settings().origin("jobs") == "built-in"


def test_each_layer_wins_over_the_one_before(tmp_path: Path) -> None:
    system = tmp_path / "system.toml"
    system.write_text("jobs = 2\nhops = 2\nbuild_delay = 5\nfirst_hops = ['" + "A" * 40 + "']\n")
    env = write_user_file(tmp_path, "jobs = 3\nbuild_delay = '700ms'\nrate = '20/m'\n")
    env |= {"EXITPIN_JOBS": "5", "EXITPIN_RATE": "30/m"}

    settings = load_settings(env, {"jobs": 7, "timeout": None}, system)

    assert (settings.hops, settings.build_delay_s, settings.rate, settings.jobs) == (2, 0.7, Rate(30, "m"), 7)
    user = str(tmp_path / "exitpin" / "config.toml")
    origins = {key.name: settings.origin(key.name) for key in KEYS}
    assert origins == {
        **dict.fromkeys(
            [
                *("first_hops_fallback", "build_jitter", "per_destination", "timeout", "network_wait", "destinations"),
                *("control", "as_file"),
            ],
            "built-in",
        ),
        "hops": str(system),
        "first_hops": str(system),
        "build_delay": user,
        "rate": "EXITPIN_RATE",
        "jobs": "command line",
    }


def test_all_errors_of_all_layers_are_told_at_once(tmp_path: Path) -> None:
    system = tmp_path / "system.toml"
    system.write_text("hops = 1\nbuild-delay = 3\n")
    env = write_user_file(tmp_path, "jobs = true\nfirst_hops = ['moria1']\ncolour = 'red'\n") | {"EXITPIN_RATE": "fast"}

    with pytest.raises(OperatorError) as caught:
        load_settings(env, {"timeout": "soon", "build_jitter": "2d"}, system)

    user = tmp_path / "exitpin" / "config.toml"
    assert sorted(caught.value.message.splitlines()) == sorted(
        [
            f"{system}: hops: 1 is not a whole number from 2 to 8",
            f"{system}: build-delay: no such key; did you mean build_delay?",
            f"{user}: jobs: True is not a whole number from 1 to 1000",
            f"{user}: first_hops: ['moria1'] is not a list of relay fingerprints, 40 hex digits each",
            f"{user}: colour: no such key; valid are " + ", ".join([*(key.name for key in KEYS), "params"]),
            "EXITPIN_RATE: 'fast' is not runs in a time, such as \"20/m\" (s, m or h)",
            "--timeout: 'soon' is not a time up to a day, more than nothing, such as \"90s\" or 90",
            '--build-jitter: \'2d\' is not a time up to a day, such as "1s", "500ms" or 1.0',
        ]
    )


def test_parameters_of_tools_are_texts_and_the_later_file_wins_for_each(tmp_path: Path) -> None:
    system = tmp_path / "system.toml"
    system.write_text('[params.tls-cert]\nhost = "a.example"\nport = 443\n[params.dns-path]\nport = 53\n')
    env = write_user_file(tmp_path, '[params.tls-cert]\nhost = "b.example"\nnames = ["x", "y"]\nverify = true\n')

    settings = load_settings(env, system_file=system)

    assert settings.params == {
        "tls-cert": {"host": "b.example", "port": "443", "names": "x,y", "verify": "true"},
        "dns-path": {"port": "53"},
    }
    assert settings.origin("params.tls-cert.host") == str(tmp_path / "exitpin" / "config.toml")
    assert settings.origin("params.tls-cert.port") == str(system)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("params = 3\n", "params: must be tables; write [params.tls-cert]"),
        ('[params]\nhost = "x"\n', "params.host: must be a table with a tool's name"),
        ("[params.tls-cert]\nhost = { a = 1 }\n", "params.tls-cert.host: must be a text, a number"),
        ('[params.tls-cert]\n"a b" = 1\n', "params.tls-cert.'a b': is no parameter's name"),
    ],
)
def test_what_is_wrong_with_the_parameters_of_tools_is_told(tmp_path: Path, text: str, told: str) -> None:
    system = tmp_path / "system.toml"
    system.write_text(text)
    with pytest.raises(OperatorError) as caught:
        load_settings({}, system_file=system)
    assert told in caught.value.message


@pytest.mark.parametrize("content", [b"jobs = ", b"\xff\xfe", b"jobs = 1\njobs = 2\n"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_bytes(content)
    with pytest.raises(OperatorError, match=r"broken\.toml: not TOML: "):
        load_settings({}, system_file=broken)


def test_a_file_that_cannot_be_read_is_an_error_and_not_an_absence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="can't be read"):
        load_settings({}, system_file=tmp_path)


@pytest.mark.parametrize(
    ("name", "given", "attribute", "value"),
    [
        ("FIRST_HOPS", f"{FINGERPRINT}, ${FINGERPRINT.lower()}", "first_hops", (FINGERPRINT,)),
        ("FIRST_HOPS_FALLBACK", "guards", "first_hops_fallback", "guards"),
        ("NETWORK_WAIT", "5m", "network_wait_s", 300.0),
        ("BUILD_DELAY", "0", "build_delay_s", 0.0),
        ("TIMEOUT", "2m", "timeout_s", 120.0),
        ("TIMEOUT", "1.5h", "timeout_s", 5400.0),
        ("NETWORK_WAIT", "1d", "network_wait_s", 86400.0),
        ("NETWORK_WAIT", "0.5 d", "network_wait_s", 43200.0),
        ("BUILD_DELAY", "0.33333333", "build_delay_s", 0.33333333),
        (
            "DESTINATIONS",
            "Example.ORG. [2001:DB8::1]:443 ::1",
            "destinations",
            ("example.org", "[2001:db8::1]:443", "::1"),
        ),
        ("CONTROL", "127.0.0.1:9051", "control", "127.0.0.1:9051"),
        ("AS_FILE", "/var/lib/as.dat", "as_file", "/var/lib/as.dat"),
        ("CONTROL", "[::1]:9051", "control", "[::1]:9051"),
        ("CONTROL", "/run/tor/control", "control", "/run/tor/control"),
        ("JOBS", "", "jobs", 4),
    ],
)
def test_variables_are_read_as_text(name: str, given: str, attribute: str, value: object) -> None:
    assert getattr(load_settings({f"EXITPIN_{name}": given}, system_file=NOWHERE), attribute) == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("FIRST_HOPS_FALLBACK", "anybody"),
        ("NETWORK_WAIT", "2d"),
        ("BUILD_DELAY", "-1"),
        ("TIMEOUT", "0"),
        ("TIMEOUT", "nan"),
        ("TIMEOUT", "25h"),
        ("TIMEOUT", "1.01d"),
        ("TIMEOUT", "\N{ARABIC-INDIC DIGIT THREE}s"),
        ("RATE", "0/m"),
        ("JOBS", "0"),
        ("JOBS", "1.5"),
        ("HOPS", "9"),
        ("DESTINATIONS", "--proxy"),
        ("DESTINATIONS", "example.org:0"),
        ("DESTINATIONS", "[example.org]:80"),
        ("DESTINATIONS", "a b/c"),
        ("CONTROL", "/run/two\nlines"),
        ("CONTROL", "9051"),
        ("AS_FILE", "as.dat"),
        ("CONTROL", "::1"),
        ("FIRST_HOPS", "A" * 39),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, given: str) -> None:
    with pytest.raises(OperatorError, match=f"EXITPIN_{name}"):
        load_settings({f"EXITPIN_{name}": given}, system_file=NOWHERE)


def test_a_relative_config_home_is_ignored() -> None:
    assert config_files({"XDG_CONFIG_HOME": "x", "HOME": "/h"})[1:] == (Path("/h/.config/exitpin/config.toml"),)
    assert config_files({"XDG_CONFIG_HOME": "x"})[1:] == ()


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [("EXAMPLE.org", 80, True), ("example.net", 443, True), ("example.net", 80, False), ("2001:db8::1", 25, True)],
)
def test_destinations_declared_as_own_are_known(host: str, port: int, expected: bool) -> None:
    settings = Settings(destinations=("example.org", "example.net:443", "[2001:db8::1]:25"))
    assert settings.owns(host, port) is expected


def test_a_start_without_files_does_not_import_pydantic() -> None:
    code = (
        "import sys, pathlib; from exitpin.orchestrator.settings import load_settings;"
        "load_settings({'EXITPIN_JOBS': '3'}, system_file=pathlib.Path('/nonexistent'));"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
