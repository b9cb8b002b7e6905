"""What setup() set, handed to each probe: a probe is a process of its own and begins with the module as it is loaded.

exitmap forks, so its children have all that their parent had. Here the globals that setup() changed are pickled; so are
what it set on the module's classes and functions, the environment and the default timeout of sockets. What can't be
pickled (an open file, a lock, whatever holds one, or a lambda) and was seen to change (`traces.py`) is told by name,
and raises in a probe as soon as it is used, and not before. What setup() did not change is there in a probe, too, but
for what is another thing each time it is made (`begun.py`).
"""

import io
import os
import pickle
import socket
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from .begun import differing, made_by
from .relays import Consensus
from .traces import has_more, mark_of


class NotHandedOn(RuntimeError):
    """A probe used a global that setup() had set, and that no other process can have."""


class Missing:
    """Stands for such a global."""

    def __init__(self, name: str, why: str) -> None:
        object.__setattr__(self, "_told", f"setup() set {name}, which can't be handed to a probe: {why}")

    def _used(self, *args: Any, **kwargs: Any) -> Any:
        raise NotHandedOn(object.__getattribute__(self, "_told"))

    __getattr__ = __setattr__ = __delattr__ = __call__ = __iter__ = __len__ = __bool__ = __getitem__ = _used
    __setitem__ = __delitem__ = __contains__ = __eq__ = __enter__ = __str__ = __repr__ = __next__ = _used
    __lt__ = __gt__ = __le__ = __ge__ = __add__ = __iadd__ = __or__ = __ior__ = __int__ = __index__ = _used
    __hash__ = None  # type: ignore[assignment]


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> str | None:
        return "consensus" if isinstance(obj, Consensus) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, consensus: Consensus) -> None:
        super().__init__(io.BytesIO(content))
        self._consensus = consensus

    def persistent_load(self, pid: object) -> Consensus:
        return self._consensus


class Globals:
    """A module's globals as they were before setup()."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        own = list(_own(module))
        self._before = {name: (value, *_told(value)) for name, value in own}
        self._made = made_by(own, module)
        self._environment = dict(os.environ)
        self._timeout_s = socket.getdefaulttimeout()

    def changed(self) -> tuple[bytes, dict[str, str]]:
        """The pickle of what is different now; and by name what can't be pickled, and why."""
        changed: dict[str, Any] = {}
        missing: dict[str, str] = {}
        own = dict(_own(self._module))
        for name, value in own.items():
            before, pickled, mark = self._before.get(name, (self, None, None))
            now, mark_now = _told(value)
            if isinstance(now, bytes):
                if now != pickled:
                    changed[name] = value
            elif value is not before or mark_now is None or mark_now != mark:
                missing[name] = now
        made = {name: pickled for name, pickled in self._made.items() if name in own and name not in changed | missing}
        around = {"gone": [name for name in self._before if name not in own], "made": made, **self._around()}
        content = _pickled({"globals": changed, "missing": missing, **around})
        if isinstance(content, bytes):
            return content, missing
        missing |= dict.fromkeys(changed, content)  # each alone can be, and all together can't
        return _pickled_bytes({"globals": {}, "missing": missing, **around}), missing

    def _around(self) -> dict[str, Any]:
        """What is different of the process."""
        timeout_s = socket.getdefaulttimeout()
        return {
            "environment": {name: value for name, value in os.environ.items() if self._environment.get(name) != value},
            "unset": [name for name in self._environment if name not in os.environ],
            "timeout": [timeout_s] if timeout_s != self._timeout_s else [],
        }


def hand_on(content: bytes, module: ModuleType, consensus: Consensus) -> None:
    """Set in this process what was set in setup's. Raises whatever unpickling raises."""
    told = _Unpickler(content, consensus).load()
    for name in told["gone"]:
        owner, last = _place(module, name)
        vars(owner).pop(last, None) if owner is module else delattr(owner, last)
    for name, value in (*differing(told["made"], dict(_own(module))), *told["globals"].items()):
        setattr(*_place(module, name), value)
    for name, why in told["missing"].items():
        setattr(*_place(module, name), Missing(name, why))
    os.environ.update(told["environment"])
    for name in told["unset"]:
        os.environ.pop(name, None)
    for timeout_s in told["timeout"]:
        socket.setdefaulttimeout(timeout_s)


def _own(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Its globals, but for modules and what Python itself puts there; and, by dotted names, what is set on its own
    classes and functions."""
    for name, value in _plain(module):
        if isinstance(value, ModuleType):
            continue
        yield name, value
        if isinstance(value, type | FunctionType) and value.__module__ == module.__name__:
            for own, inner in _plain(value):
                if not callable(inner) and not hasattr(inner, "__get__"):
                    yield f"{name}.{own}", inner


def _plain(owner: object) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(owner).items() if not (name.startswith("__") and name.endswith("__"))]


def _place(module: ModuleType, name: str) -> tuple[Any, str]:
    """On what it is set, and by which name."""
    owner, _, last = name.rpartition(".")
    return (vars(module)[owner] if owner else module), last


def _told(value: object) -> tuple[bytes | str, bytes | None]:
    """The pickle, or why there is none, and its mark, which is wanted then."""
    pickled = has_more(value) or _pickled(value)
    return pickled, None if isinstance(pickled, bytes) else mark_of(value)


def _pickled(value: object) -> bytes | str:
    """The pickle, or why there is none."""
    try:
        return _pickled_bytes(value)
    except Exception as error:  # whatever somebody's __reduce__ raises
        return f"{type(error).__name__}: {error}"


def _pickled_bytes(value: object) -> bytes:
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()
