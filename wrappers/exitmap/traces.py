"""Whether setup() has changed what can't be pickled: a mark of all that can be seen of a value, to compare with a later
one.

A mark is a pickle in which what has none (a lock, a lambda, a file) stands by its identity and by what it tells of
itself: attributes that are plain values, such as `total_changes` of a database. What changes inside of such a thing and
is not told is not seen. Called by `handing.py`.
"""

import contextlib
import io
import pickle
from functools import _lru_cache_wrapper
from types import FunctionType, GeneratorType, ModuleType
from typing import Any, Final

from .relays import Consensus

PLAIN: Final = (bool, int, float, complex, str, bytes, type(None))
PROTOCOL: Final = pickle.HIGHEST_PROTOCOL


def mark_of(value: object) -> bytes | None:
    """Two are equal if nothing was seen to change between them; None: nobody can tell."""
    file = io.BytesIO()
    try:
        _Marker(file, PROTOCOL).dump(value)
    except Exception:  # too deep, or whatever somebody's __reduce__ raises
        return None
    return file.getvalue()


def has_more(value: object) -> str:
    """Why the pickle of it is not all that there is, or nothing: a function's answers that it keeps are no part of
    it."""
    return "it keeps what it has answered" if isinstance(value, _lru_cache_wrapper) else ""


class _Marker(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, Consensus):
            return "consensus"
        return ("itself", id(obj)) if isinstance(obj, type | ModuleType) else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, _lru_cache_wrapper):
            return dict, (list(enumerate((id(obj), *obj.cache_info()))),)
        if isinstance(obj, FunctionType):
            return dict, ([("id", id(obj)), ("own", vars(obj)), ("kept", _kept(obj))],)
        try:
            obj.__reduce_ex__(PROTOCOL)
        except Exception:
            return dict, ([("id", id(obj)), *_told(obj)],)
        return NotImplemented


def _kept(function: FunctionType) -> list[object]:
    """What it has by itself: defaults, and variables of where it was made."""
    kept: list[object] = [function.__defaults__, function.__kwdefaults__]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # it is empty
            kept.append(cell.cell_contents)
    return kept


def _told(value: object) -> list[tuple[str, object]]:
    """What an object says of itself that has no pickle."""
    if hasattr(value, "__dict__"):
        return [("own", vars(value))]
    if isinstance(value, GeneratorType):
        return [("at", None if value.gi_frame is None else value.gi_frame.f_lasti)]
    told: list[tuple[str, object]] = []
    for name in dir(type(value)):
        if not name.startswith("__"):
            try:
                one = getattr(value, name)
            except Exception:
                continue
            if isinstance(one, PLAIN):
                told.append((name, one))
    if hasattr(value, "cert_store_stats"):  # an SSLContext: to import ssl for it takes long
        told.append(("certificates", value.cert_store_stats()))
    return told
