"""Parameters: where a value comes from, what is refused, and where a tool then goes."""

from dataclasses import replace

import pytest

from exitpin.orchestrator.audit.param_types import split_url
from exitpin.orchestrator.audit.params import Bound, bind, run_destinations, run_values, selection_destinations, share
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.orchestrator.model import Destination, Fingerprint, Relay
from exitpin.orchestrator.policy import parse_policy
from exitpin.orchestrator.tool import Command, Door, Param, Tool

EXIT = Relay(
    Fingerprint("AB" * 20),
    "exit01",
    "203.0.113.11",
    9001,
    frozenset(),
    parse_policy("accept *:80\naccept *:443\nreject *:*"),
)


def tool(*params: Param, doors: tuple[Door, ...] = (), select: str = "all") -> Tool:
    return Tool("probe", "?", Command(("true",)), (), params=params, doors=doors, select=select, path="/t/probe.toml")


def bound(given: Tool, **values: str) -> Bound:
    return bind(given, values, {}, is_lab=False)


def values_of(given: Bound, exit: Relay = EXIT) -> dict[str, str]:
    return run_values(given, exit, run_id="s-1", nonce="0123456789abcdef", artifacts="/a")


def test_the_command_line_wins_over_the_lab_over_the_configuration_over_the_default() -> None:
    given = tool(*(Param(name, default="default", lab="lab") for name in "abc"), *(Param(n, default="d") for n in "de"))
    configured = {"a": "conf", "b": "conf", "d": "conf"}
    values = bind(given, {"a": "given"}, configured, is_lab=True).values
    assert values == {"a": "given", "b": "lab", "c": "lab", "d": "conf", "e": "d"}
    values = bind(given, {"a": "given"}, configured, is_lab=False).values
    assert values == {"a": "given", "b": "conf", "c": "default", "d": "conf", "e": "d"}
    assert bind(given, {}, {}, is_lab=False).values["c"] == "default"


def test_a_missing_value_is_asked_for_with_both_ways_to_give_it() -> None:
    given = tool(Param("host", "host", lab="web.test", help="the server"))
    assert bind(given, {}, {}, is_lab=True).values == {"host": "web.test"}
    with pytest.raises(OperatorError) as caught:
        bind(given, {}, {}, is_lab=False)
    assert caught.value.exit_status == EXIT_USAGE
    assert caught.value.message == (
        "probe: host (the server) has no default: give -p host=..., or write host = ... under [params.probe] in"
        " config.toml; it must be a host name or an IP address that an exit can reach (no port, no leading '-')."
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    given = tool(Param("host", "host"), Param("port", "port", default="443"), Param("key", is_secret=True, pattern="x"))
    with pytest.raises(OperatorError) as caught:
        bind(given, {"port": "http", "hots": "x", "key": "hunter2"}, {"colour": "1"}, is_lab=False)
    told = caught.value.message.splitlines()
    assert [line.split(" ")[:3] for line in told] == [
        ["probe:", "there", "is"],
        ["probe:", "there", "is"],
        ["probe:", "host", "has"],
        ["probe:", "port", "(-p)"],
        ["probe:", "key", "(-p)"],
    ]
    assert "'hots' (-p); did you mean host?" in told[0]
    assert "'colour' ([params.probe]); it has host, port, key." in told[1]
    assert told[3].endswith("must be a port from 1 to 65535, not 'http'.")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("str", "-x {} y", "-x {} y"),
        ("int", "-12", "-12"),
        ("float", "1.5", "1.5"),
        ("bool", "true", "true"),
        ("host", "Web-1.example.", "Web-1.example."),
        ("host", "_dmarc.example", "_dmarc.example"),
        ("host", "192.0.2.7", "192.0.2.7"),
        ("host", "2001:db8::7", "2001:db8::7"),
        ("ip", "2001:DB8:0::7", "2001:db8::7"),
        ("port", "0443", "443"),
        ("url", "http://[2001:db8::7]:8080/a?b#c", "http://[2001:db8::7]:8080/a?b#c"),
        ("path", "./-x", "./-x"),
        ("duration", "1.5m", "90"),
        ("duration", "250ms", "0.25"),
        ("duration", "30", "30"),
        ("fingerprint", "$" + "ab" * 20, "AB" * 20),
    ],
)
def test_a_valid_value_is_taken(kind: str, text: str, value: str) -> None:
    assert bound(tool(Param("x", kind)), x=text).values == {"x": value}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("str", "a\0b"),
        ("int", "1.5"),
        ("int", "1_000"),
        ("float", "nan"),
        ("float", "1e999"),
        ("bool", "yes"),
        ("host", "-oProxyCommand=x"),
        ("host", "a.example:80"),
        ("host", "a b"),
        ("host", ""),
        ("host", "a..b"),
        ("host", "1.2.3"),
        ("host", "1.2.3.256"),
        ("host", "x.onion"),
        ("host", "example.exit"),
        ("host", "a" * 64),
        ("host", "a.example\n"),
        ("ip", "a.example"),
        ("ip", "-1"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "\u0664"),
        ("url", "-x"),
        ("url", "http://-x/"),
        ("url", "http://user@a.example/"),
        ("url", "http://a.example\\@b.example/"),
        ("url", "http://a.example/ b"),
        ("url", "http://a.example/\x1b"),
        ("url", "ftp://a.example/"),
        ("url", "//a.example/"),
        ("url", "http://a.example:0/"),
        ("url", "http:///x"),
        ("path", "-rf"),
        ("path", ""),
        ("duration", "soon"),
        ("duration", "-3s"),
        ("fingerprint", "AB" * 19),
    ],
)
def test_what_is_not_valid_or_would_be_an_option_is_refused(kind: str, text: str) -> None:
    with pytest.raises(OperatorError, match=r"probe: x \(-p\) must be "):
        bound(tool(Param("x", kind)), x=text)


def test_choices_patterns_and_schemes_bind_every_item_of_a_list() -> None:
    given = tool(
        Param("e", "enum", choices=("a", "b"), is_list=True, default="a"),
        Param("p", pattern="[0-9]+", default="1"),
        Param("u", "url", schemes=("ldap",), default="ldap://x.example/"),
    )
    assert bound(given, e="b, a", p="23").values == {"e": "b,a", "p": "23", "u": "ldap://x.example/"}
    for values, told in (
        ({"e": "a,c"}, "must be one of a, b"),
        ({"p": "2x"}, "must be a text that matches [0-9]+"),
        ({"u": "http://x.example/"}, "(scheme ldap)"),
    ):
        with pytest.raises(OperatorError) as caught:
            bind(given, values, {}, is_lab=False)
        assert told in caught.value.message


def test_a_value_may_hold_what_only_a_run_knows_where_that_can_be_valid() -> None:
    given = tool(Param("name", "host"), Param("port", "port", default="53"))
    assert bound(given, name="{{nonce}}.{{exit.fp8}}.x.example").values["name"].startswith("{{nonce}}")
    for name, told in (("{{nonce}}..x", "must be a host"), ("{{nunce}}.x", "without {{nunce}}, which no run knows")):
        with pytest.raises(OperatorError) as caught:
            bound(given, name=name)
        assert told in caught.value.message
    with pytest.raises(OperatorError, match="port from 1 to 65535, without placeholders"):
        bound(given, name="x.example", port="{{exit.ports}}")


def test_secrets_are_named() -> None:
    given = bound(tool(Param("key", is_secret=True), Param("x", default="1")), key="hunter2")
    assert given.secret == {"key"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://A.example", ("http", "A.example", 80)),
        ("https://a.example/x", ("https", "a.example", 443)),
        ("https://a.example:8443?x", ("https", "a.example", 8443)),
        ("http://[::1]/", ("http", "::1", 80)),
        ("foo://a.example:7/", ("foo", "a.example", 7)),
    ],
)
def test_a_url_names_scheme_host_and_port(url: str, expected: tuple[str, str, int]) -> None:
    assert split_url(url) == expected


def test_a_scheme_without_a_known_port_must_name_one() -> None:
    with pytest.raises(ValueError):
        split_url("foo://a.example/")


def test_doors_become_destinations_one_for_each_item_of_a_list() -> None:
    given = tool(
        Param("host", "host", default="Web.example."),
        Param("ports", "port", default="80,443", is_list=True),
        Param("url", "url", default="https://other.example:8443/x"),
        doors=(Door("{{host}}", "{{ports}}"), Door(url="{{url}}"), Door("{{host}}", "0"), Door("web.example", "80")),
    )
    assert selection_destinations(given, bound(given)) == (
        Destination("web.example", 80),
        Destination("web.example", 443),
        Destination("other.example", 8443),
        Destination("web.example", 0),
    )


def test_a_host_that_only_the_run_knows_is_any_host_until_then() -> None:
    given = tool(
        Param("name", "host", default="{{nonce}}.{{exit.fp8}}.x.example"),
        Param("url", "url", default="http://{{nonce}}.x.example/{{exit.fp}}"),
        Param("page", "url", default="http://x.example/{{nonce}}"),
        doors=(Door("{{name}}", "53"), Door(url="{{url}}"), Door(url="{{page}}"), Door("{{exit.ip}}", "443")),
    )
    chosen = selection_destinations(given, bound(given))
    assert chosen == (
        Destination("*", 53),
        Destination("*", 80),
        Destination("x.example", 80),
        Destination("*", 443),
    )
    assert EXIT.policy is not None and EXIT.policy.allows(*chosen[1])
    assert run_destinations(given, values_of(bound(given))) == (
        Destination("0123456789abcdef.abababab.x.example", 53),
        Destination("0123456789abcdef.x.example", 80),
        Destination("x.example", 80),
        Destination("203.0.113.11", 443),
    )


def test_a_run_knows_all_values() -> None:
    given = tool(
        Param("name", "host", default="{{nonce}}.x.example"),
        Param("ports", "port", default="22,80,443", is_list=True),
        Param("open", default="open: {{exit.ports}}"),
        doors=(Door("{{name}}", "{{ports}}"), Door("{{name}}", "0")),
    )
    assert values_of(bound(given)) == {
        "exit.fp": "AB" * 20,
        "exit.fp8": "ABABABAB",
        "exit.nick": "exit01",
        "exit.ip": "203.0.113.11",
        "exit.ports": "80,443",
        "run.id": "s-1",
        "nonce": "0123456789abcdef",
        "artifacts": "/a",
        "script": "",
        "tool_dir": "/t",
        "name": "0123456789abcdef.x.example",
        "ports": "22,80,443",
        "open": "open: 80,443",
    }


def test_what_fills_a_placeholder_is_not_filled_again() -> None:
    given = tool(Param("a", default="{{exit.nick}}"))
    assert values_of(bound(given), replace(EXIT, nickname="{{nonce}}"))["a"] == "{{nonce}}"


def test_a_tool_that_goes_to_any_of_its_doors_opens_those_that_the_exit_allows() -> None:
    doors = (Door("web.example", "80"), Door("web.example", "25"), Door("web.example", "0"))
    for select, ports in (("all", [80, 25, 0]), ("any", [80, 0])):
        given = tool(doors=doors, select=select)
        found = run_destinations(given, values_of(bound(given)), EXIT)
        assert [destination.port for destination in found] == ports


def test_p_is_for_all_tools_that_have_the_parameter_or_for_one() -> None:
    one = tool(Param("host"), Param("port"))
    other = replace(tool(Param("host"), Param("url")), id="other")
    assert share([one, other], ["host=a", "other.host=b", "url=c=d", "port="]) == {
        "probe": {"host": "a", "port": ""},
        "other": {"host": "b", "url": "c=d"},
    }
    with pytest.raises(OperatorError) as caught:
        share([one, other], ["hots=a", "host", "probe.url=x"])
    assert caught.value.message.splitlines() == [
        "-p hots=...: no tool here has that parameter; did you mean host?",
        "-p host: write NAME=VALUE, or TOOL.NAME=VALUE.",
        "-p probe.url=...: no tool here has that parameter; there are host, port, url.",
    ]
