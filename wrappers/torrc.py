"""The options of our own client tor, once: on the real network and in the lab.

Both come from `client_torrc`; what may differ is `network` alone (a test compares the two). Why each option:
control of every stream is ours (`__LeaveStreamsUnattached`), tor builds nothing by itself, and full descriptors are
at hand, because exit policies are read from them. `__LeaveStreamsUnattached` must stand in the file: a value set
over the control port is lost when tor reloads.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

Line = tuple[str, str]

BASE: tuple[Line, ...] = (
    ("ClientOnly", "1"),
    # TCP, because a Unix SocksPort shows no source port; no isolation, because circuits are chosen by us.
    ("SocksPort", "127.0.0.1:auto NoIsolateClientAddr NoIsolateSOCKSAuth"),
    ("CookieAuthentication", "1"),
    ("__LeaveStreamsUnattached", "1"),
    ("__DisablePredictedCircuits", "1"),
    ("ConfluxEnabled", "0"),
    ("UseEntryGuards", "0"),
    ("LearnCircuitBuildTimeout", "0"),
    ("CircuitBuildTimeout", "40"),
    ("CircuitStreamTimeout", "20"),
    ("SocksTimeout", "300"),
    ("MaxCircuitDirtiness", "7 days"),
    ("CircuitsAvailableTimeout", "86400"),
    ("UseMicrodescriptors", "0"),
    ("FetchDirInfoEarly", "1"),
    ("FetchDirInfoExtraEarly", "1"),
    ("FetchUselessDescriptors", "1"),
    ("PathsNeededToBuildCircuits", "0.95"),
    ("ConnectionPadding", "0"),
    ("DormantCanceledByStartup", "1"),
    ("SafeLogging", "0"),
)


def client_torrc(data_dir: Path, *, control_socket: Path, network: Sequence[Line] = ()) -> str:
    """The torrc of our client tor.

    `data_dir` is its DataDirectory (cookie: `control_auth_cookie` in it), `control_socket` lies in a directory of mode
    0700. `network` are the lines of a private network; a line of it takes the place of a base line of the same name.
    """
    own = (
        ("DataDirectory", quoted(data_dir)),
        ("ControlSocket", quoted(control_socket)),
        ("Log", f"notice file {data_dir / 'notice.log'}"),
    )
    replaced = {name.lower() for name, _ in network}
    base = tuple(line for line in BASE if line[0].lower() not in replaced)
    return render((*own, *base, *network))


def render(lines: Iterable[Line]) -> str:
    """Lines of a torrc, one option each."""
    return "".join(f"{name} {value}".rstrip() + "\n" for name, value in lines)


def quoted(path: Path) -> str:
    """A path as a torrc value: quoted only where it has to be, since not every option takes quotes."""
    text = str(path)
    if any(char < " " for char in text):
        raise ValueError(f"a control character in the path {text!r}")
    if not any(char in text for char in ' #"\\'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
