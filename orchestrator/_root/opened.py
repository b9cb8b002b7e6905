"""Tor, opened: commands through its exits in the manner of `sh`, and functions. See `session.py` for asyncio."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.wrappers.own_daemon import OwnDaemon

from .exits import Choice, Destination, Exit, name_of, read_exits
from .options import Containment, hold

T = TypeVar("T")
TIMEOUT_S = 120.0


def network_words(lab: bool, name: str | None) -> list[str]:
    """The options that say which network is meant. Raises OperatorError for a lab's name that would be of no effect."""
    if name is not None and not lab and not os.environ.get("EXITPIN_LAB"):
        raise OperatorError(f"name={name!r} names a lab, and no lab is asked for.", "Add lab=True.", EXIT_USAGE)
    return [*(["--lab"] if lab else []), *(["--name", name] if name else [])]


def pace(build_delay: str | None, build_jitter: str | None) -> dict[str, str]:
    """The settings that say how fast circuits are built."""
    given = {"EXITPIN_BUILD_DELAY": build_delay, "EXITPIN_BUILD_JITTER": build_jitter}
    return {name: value for name, value in given.items() if value}


def open(
    *,
    lab: bool = False,
    name: str | None = None,
    build_delay: str | None = None,
    build_jitter: str | None = None,
    containment: Containment | None = None,
    allow: str | Iterable[str] = (),
) -> "Tor":
    """A tor for this program alone, as a context: a daemon on a socket that nobody else knows (`exitpin daemon`).

    `lab`: the private network of `exitpin lab up`, by its `name` if there are several; else an own tor, on the real
    network. `build_delay`, `build_jitter`: between two circuits, such as "3s"; the settings' else. `containment`: the
    level that all its runs have at least, "notify" for what asks name servers itself (dnspython, dig) or has no hooks;
    `allow`: what they may do, "listen" for managers of multiprocessing, "unix:PATH" (docs/containment.rst). It takes
    0.5 s, and as long as it takes tor to bootstrap; another program that uses the same tor is waited for, five minutes
    at most. It ends with the block, and with this process, however that ends.

    Raises OperatorError: no lab, no tor, a wrong setting, a second one of this process.

    >>> import exitpin
    >>> with exitpin.open(lab=True) as tor:
    ...     print(tor.exit("exit01").curl("-sS", "http://web.test/ip"), end="")
    203.0.113.11
    """
    return Tor(network_words(lab, name), pace(build_delay, build_jitter), hold(containment, allow))


class Tor:
    """What `exitpin.open` gives: exits, and what runs through them. It is open within its `with` block. Threads may
    share it.

    >>> import exitpin
    >>> with exitpin.open(lab=True) as tor:
    ...     for relay in tor.exits(to=("web.test", 80), sample=2):
    ...         assert relay.nickname in tor.exit(relay).printenv("EXITPIN_EXIT_NICK")
    """

    def __init__(self, network: Sequence[str], settings: Mapping[str, str], options: Sequence[str] = ()) -> None:
        self._daemon = OwnDaemon(network, settings, options)
        self._known: dict[str, Exit] = {}

    def __enter__(self) -> "Tor":
        self._daemon.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all that runs through it, and then it. As the end of its block; once more does nothing."""
        self._daemon.stop()

    def exits(
        self,
        *,
        to: Destination | Sequence[Destination] = (),
        flags: Iterable[str] = (),
        not_flags: Iterable[str] = (),
        family: Iterable[str] = (),
        contact: str | None = None,
        bad_exits: bool = False,
        sample: int | None = None,
        seed: int | None = None,
        options: Sequence[str] = (),
    ) -> list[Exit]:
        """The exits of the current consensus, as `exitpin exits` chooses them; asked anew at each call (0.3 s).

        `to`: only exits whose policy allows it, ("host", port), or several of those; `flags`, `not_flags`: relays with
        and without these, such as "Stable"; `family`: fingerprints; `contact`: a regular expression; `bad_exits`: keep
        relays with the flag BadExit; `sample`: so many, drawn at random, by `seed` if one is given; `options`: more of
        `exitpin exits`, such as "--country=de". Raises OperatorError.

        >>> import exitpin
        >>> with exitpin.open(lab=True) as tor:
        ...     tor.exits(to=("web.test", 443))[0].flags >= {"Exit", "Running"}
        True
        """
        choice = Choice(to, flags, not_flags, family, contact, bad_exits, sample, seed, options)
        return read_exits(self._daemon.told("exits", "--json", *choice.words()))

    def exit(self, which: Exit | str) -> "Pinned":
        """What runs through one exit: a value of `exits()`, a fingerprint or a nickname. One that is named is looked up
        once (0.3 s). Raises OperatorError for one that is not there, or is not the only one of that name.

        >>> import exitpin
        >>> with exitpin.open(lab=True) as tor:
        ...     tor.exit("exit01").relay.address
        '203.0.113.11'
        """
        if isinstance(which, Exit):
            return Pinned(self._daemon, which)
        if which not in self._known:
            found = read_exits(self._daemon.told("exits", "--json", "-e", which, "--bad-exits"))
            if len(found) != 1:
                raise OperatorError(
                    f"{which!r} names {len(found)} exits, and one is wanted.", "`tor.exits()` lists all."
                )
            self._known[which] = found[0]
        return Pinned(self._daemon, self._known[which])


class Pinned:
    """What runs through one exit: each attribute is a command, found as `sh` finds it (`exit.curl`,
    `exit.ssh_keyscan`); `relay`: the exit.

    A command is one of `sh`, with all of its habits: docs/python.rst tells which, and what differs. It returns what the
    tool wrote to stdout, a `str` with `record`, `stderr` and `exit_code`; with `_bg=True` and the like the running
    command, whose `record` is None until it has ended. Raises `sh.ErrorReturnCode_N` by exit status (2: the run was
    refused; 125: exitpin, Tor or the attribution failed), `sh.SignalException_SIG...`, `sh.TimeoutException`, each with
    the `record`; TooMuchOutput; sh.CommandNotFound.

    >>> import exitpin
    >>> with exitpin.open(lab=True) as tor:
    ...     page = tor.exit("exit01").curl("-sS", "http://web.test/ip")
    ...     page.strip() == page.record["exit"]["addresses"][0], len(page.record["streams"])
    (True, 1)
    """

    def __init__(self, daemon: OwnDaemon, relay: Exit) -> None:
        self.relay = relay
        self._daemon = daemon
        self._commands: Any = None

    def __repr__(self) -> str:
        return f"<exit {self.relay.nickname} {self.relay.fingerprint}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.command(name)

    def command(self, name: str) -> Any:
        """The command of that name or path: for names that are no identifiers, or are taken (`python`, `relay`).

        >>> import exitpin
        >>> with exitpin.open(lab=True) as tor:
        ...     print(tor.exit("exit01").command("/usr/bin/env")("echo", "pinned"), end="")
        pinned
        """
        from exitpin.wrappers.commands import command_class, find

        if self._commands is None:
            self._commands = command_class(self._daemon, self.relay.fingerprint)
        return find(self._commands, name)

    def python(
        self,
        function: Callable[..., T],
        /,
        *args: Any,
        _timeout: float | None = TIMEOUT_S,
        _on_record: Callable[[Mapping[str, Any]], None] | None = None,
        **kwargs: Any,
    ) -> T:
        """What a function returns that runs through this exit: in a process of its own, with this interpreter, where
        sockets, asyncio, ssl, urllib and programs that it starts are pinned as any tool's are. Nothing is patched.

        The function, its arguments and what it returns are pickled (by cloudpickle: functions of `__main__`, lambdas
        and closures, too), so it has a copy of what it refers to. Its stdin is empty, stdout and stderr are ours.
        `_timeout`: in seconds, from the start of the run; None: none. `_on_record`: is called with the record of the
        run.

        Raises what the function raises, with the traceback of that process as its cause, and RemoteError where that
        can't be had here, or what it returned can't be sent; RunFailed if there is no answer: a timeout, a signal,
        `os._exit`, over 64 MiB, what can't be unpickled here, or an attribution in doubt; OperatorError if there was no
        run.

        >>> import exitpin
        >>> from urllib.request import urlopen
        >>> with exitpin.open(lab=True) as tor:
        ...     tor.exit("exit01").python(lambda url: urlopen(url).read().decode(), "http://web.test/ip")
        '203.0.113.11\\n'
        """
        from exitpin.wrappers.calls import Call

        with Call(self._daemon, name_of(self.relay), (function, args, kwargs), _timeout) as call:
            call.run()
            if _on_record is not None and call.record is not None:
                _on_record(call.record)
            result: T = call.result()
        return result
