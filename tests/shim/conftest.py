"""A stand-in orchestrator and a network of our own, under which the real launcher and preload library are tried."""

import contextlib
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exitpin.shim import bindings
from exitpin.shim.bindings import Endpoint, NoticeKind, Op, Reason, Report

from .lacking import parts as parts
from .lacking import without as without

HERE = Path(__file__).parent
NONCE = bytes(range(16))
RUN_ADDRESS = "127.64.0.9"
DEADLINE_S = 30.0
DRAIN = b"drain"

Answer = Callable[[Report, "socket.socket | None"], bytes | None]


@dataclass
class World:
    """The namespace in which tools run; every command is entered into it by nsenter."""

    process: "subprocess.Popen[str]"
    port: int

    def enter(self) -> list[str]:
        nsenter = shutil.which("nsenter") or "nsenter"
        return [nsenter, "--user", "--net", "--preserve-credentials", f"--target={self.process.pid}"]

    def leaks(self) -> list[str]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return list(json.loads(self.process.stdout.readline()))


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    command = ["unshare", "-Urn", sys.executable, str(HERE / "world.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        ready = process.stdout.readline()
        if not ready:
            pytest.skip("no user namespaces with veth here: tools that connect elsewhere can't be tried safely")
        yield World(process, int(ready))
        process.stdin.close()


class StandIn:
    """Answers reports on a thread, one after the other; `on[op]` replaces an answer; keeps all reports."""

    def __init__(self, path: Path, port: int) -> None:
        self.path, self.port = path, port
        self.on: dict[Op, Answer] = {}
        self.reports: list[Report] = []
        self.peers: dict[Endpoint, Endpoint] = {}
        self.bad_packets: list[bytes] = []
        self.mismatches: list[tuple[Report, object]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(512)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The orchestrator dies: whoever asks from now on is refused."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE_S)
        self._listener.close()

    def of(self, op: Op) -> list[Report]:
        return [report for report in self.reports if report.op is op]

    def drain(self) -> None:
        """Waits until all that was said before has been read: a DENIED may be queued when its process has ended."""
        if self._listener.fileno() >= 0:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as last:
                last.connect(str(self.path))
                last.send(DRAIN)
                last.recv(1)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        packet, descriptors, _, _ = socket.recv_fds(connection, 4096, 4)
        if packet in (DRAIN, b""):  # the latter: who connected was killed before it could ask
            return
        passed = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        try:
            report = bindings.decode_report(packet)
        except ValueError:
            self.bad_packets.append(packet)
            return
        self.reports.append(report)
        answer = self.on.get(report.op, self.default)(report, passed[0] if passed else None)
        if answer is not None:
            with contextlib.suppress(BrokenPipeError):
                connection.send(answer)
        for sock in passed:
            sock.close()

    def default(self, report: Report, passed: socket.socket | None) -> bytes | None:
        if report.op is Op.CONNECT:
            assert passed is not None and report.source is not None and report.destination is not None
            return self.open_stream(report, passed)
        if report.op is Op.PEER:
            assert report.source is not None
            peer = self.peers.get(report.source)
            return bindings.encode_answer(endpoints=(peer,)) if peer else bindings.encode_answer(errno.ENOTCONN)
        if report.op is Op.RESOLVE:
            return self.resolve(report)
        if report.op is Op.RESOLVE_PTR:
            known = report.destination == Endpoint(socket.AF_INET, "198.51.100.7", 0)
            return (
                bindings.encode_answer(name=b"seven.example")
                if known
                else bindings.encode_answer(eai=socket.EAI_NONAME)
            )
        return bindings.encode_answer() if report.op in (Op.HELLO, Op.UNIX) else None

    def open_stream(self, report: Report, passed: socket.socket) -> bytes:
        assert report.source is not None and report.destination is not None
        own = passed.getsockname()
        if tuple(own[:2]) != (report.source.host, report.source.port) or passed.family != report.source.family:
            self.mismatches.append((report, own))
        mapped = "::ffff:127.0.0.1" if passed.family == socket.AF_INET6 else "127.0.0.1"
        error = passed.connect_ex((mapped, self.port))
        if passed.getsockname() != own:
            self.mismatches.append((report, passed.getsockname()))
        if report.destination.port == 1:  # as an exit refuses: Tor had been reached
            bindings.disconnect(passed.fileno())
            return bindings.encode_answer(errno.ECONNREFUSED)
        self.peers[report.source] = report.destination
        return bindings.encode_answer(0 if error == errno.EINPROGRESS else error)

    def resolve(self, report: Report) -> bytes:
        if report.name != "example.org":
            return bindings.encode_answer(eai=socket.EAI_NONAME)
        both = (Endpoint(socket.AF_INET, "198.18.0.7", 0), Endpoint(socket.AF_INET6, "fd00::7", 0))
        wanted = report.destination.family if report.destination else 0
        return bindings.encode_answer(endpoints=tuple(end for end in both if wanted in (0, end.family)))


@dataclass
class Run:
    """A launcher at work, or done."""

    process: "subprocess.Popen[str]"
    control: socket.socket
    notices: list[bindings.Notice] = field(default_factory=list)
    stdout: str = ""
    stderr: str = ""

    def next_notice(self) -> bindings.Notice | None:
        packet = self.control.recv(4096)
        if not packet:
            return None
        self.notices.append(bindings.decode_notice(packet))
        return self.notices[-1]

    def order(self, kind: int, signo: int = 0, grace_ms: int = 0) -> None:
        self.control.send(bindings.encode_order(kind, signo, grace_ms))

    def wait(self) -> "Run":
        while self.next_notice():
            pass
        self.stdout, self.stderr = self.process.communicate(timeout=DEADLINE_S)
        return self

    def of(self, kind: NoticeKind) -> bindings.Notice:
        (notice,) = [notice for notice in self.notices if notice.kind is kind]
        return notice

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


@dataclass
class Shim:
    """Starts tools as the orchestrator does."""

    world: World
    stand_in: StandIn
    programs: dict[str, str]
    preload: Path
    level: tuple[str, ...] = ()
    runs: list[Run] = field(default_factory=list)

    def start(
        self,
        *command: str,
        flags: tuple[str, ...] = (),
        under: tuple[str, ...] = (),
        launcher: str = str(bindings.LAUNCHER),
        **popen: object,
    ) -> Run:
        """`flags` for the launcher, which is started by the command `under`."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mine.settimeout(DEADLINE_S)
        config = bindings.shim_config(NONCE, RUN_ADDRESS, self.stand_in.path)
        launch = [launcher, "--control", str(theirs.fileno()), "--preload", str(self.preload)]
        arguments = [*self.world.enter(), *under, *launch, *self.level, *flags, "--", *command]
        with theirs:
            options: dict[str, object] = {"stdin": subprocess.DEVNULL, "pass_fds": (), **popen}
            options["pass_fds"] = (*options["pass_fds"], theirs.fileno())  # type: ignore[misc]
            options["env"] = {**options.get("env", os.environ), "EXITPIN_SHIM": config}  # type: ignore[dict-item]
            process = subprocess.Popen(
                arguments,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                **options,  # type: ignore[call-overload]
            )
        self.runs.append(Run(process, mine))
        return self.runs[-1]

    def run(self, *command: str, **popen: object) -> Run:
        run = self.start(*command, **popen).wait()
        self.stand_in.drain()
        return run

    def probe(self, program: str, *arguments: str, **popen: object) -> Run:
        return self.run(self.programs[program], *arguments, **popen)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every file of programs/, compiled; and `static`, which says that it ran."""
    folder = tmp_path_factory.mktemp("programs")
    compiler = os.environ.get("CC", "cc").split()
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wno-unused-result", "-pthread"]
    built = {}
    for source in (HERE / "programs").glob("*.c"):
        built[source.stem] = str(folder / source.stem)
        subprocess.run([*compiler, *flags, "-o", built[source.stem], source, "-lanl", "-lresolv"], check=True)
    (folder / "static.c").write_text('#include <stdio.h>\nint main(void) { puts("ran"); }\n')
    built["static"] = str(folder / "static")
    made = subprocess.run([*compiler, "-static", "-o", built["static"], str(folder / "static.c")], check=False)
    if made.returncode != 0:
        del built["static"]
    return built


@pytest.fixture(params=["shim", "guard"])
def shim(
    world: World, programs: dict[str, str], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Shim]:
    """A fresh stand-in; afterwards nothing may have left the namespace, and every report must have been well formed."""
    folder = tmp_path_factory.mktemp("s")
    level = () if request.param == "shim" else ("--guard",)
    shim = Shim(world, StandIn(folder / "r", world.port), programs, bindings.PRELOAD, level)
    yield shim
    for run in shim.runs:
        run.control.close()
        run.process.kill()
        run.process.communicate(timeout=DEADLINE_S)
    shim.stand_in.close()
    assert shim.stand_in.bad_packets == []
    assert shim.stand_in.mismatches == []
    assert all(report.nonce == NONCE for report in shim.stand_in.reports)
    assert world.leaks() == []


@pytest.fixture
def refused(shim: Shim) -> Callable[..., tuple[Reason, int]]:
    """Runs a command that the launcher must refuse; its reason and exit status."""

    def run(*command: str, **popen: object) -> tuple[Reason, int]:
        done = shim.run(*command, **popen)
        (notice,) = done.notices
        assert notice.kind is NoticeKind.REFUSED
        assert done.stdout == ""
        assert shim.stand_in.reports == []
        return notice.reason, done.process.returncode

    return run
