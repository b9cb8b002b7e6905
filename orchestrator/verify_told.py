"""What a record says of circuits and streams that no record can say, or that Tor said otherwise. Pure.

Called by `verify.py`, which holds each stream against what is known of it.
"""

from collections.abc import Collection, Iterator, Mapping

from .verify_evidence import Evidence

WITHOUT_AN_ADDRESS = ("source-port", "socks-username")
WITNESSES = ("source-address", *WITHOUT_AN_ADDRESS)

Json = Mapping[str, object]


def path_problems(evidence: Evidence, record: Json) -> Iterator[str]:
    """Circuits that the record lists and Tor built otherwise, whether a stream was on them or not."""
    told: set[int] = set()
    for circuit in list_of(record, "circuits"):
        circuit_id = circuit.get("id") if isinstance(circuit, Mapping) else None
        if not isinstance(circuit, Mapping) or type(circuit_id) is not int:
            yield f"a circuit of the record can't be read: {circuit!r:.200}"
            continue
        if circuit_id in told:
            yield f"circuit {circuit_id} stands in two places"
        told.add(circuit_id)
        path = evidence.built.get(circuit_id, (0, None))[1]
        if path is None:
            yield f"circuit {circuit_id} was never BUILT"
        elif tuple(list_of(circuit, "path")) != path:
            yield f"the record's path of circuit {circuit_id} is not the one that Tor built"
    for circuit in list_of(record, "unbuilt"):
        circuit_id = circuit.get("id") if isinstance(circuit, Mapping) else None
        if not isinstance(circuit, Mapping) or type(circuit_id) not in (int, type(None)):
            yield f"a failed circuit of the record can't be read: {circuit!r:.200}"
        elif isinstance(circuit_id, int):
            if circuit_id in told:
                yield f"circuit {circuit_id} stands in two places"
            told.add(circuit_id)
            yield from _unbuilt_problems(evidence, circuit, circuit_id)


def _unbuilt_problems(evidence: Evidence, circuit: Json, circuit_id: int) -> Iterator[str]:
    """Why it can't be that this circuit failed. One that took too long for exitpin is closed, and Tor may say BUILT
    before it hears of that: then nothing is ever claimed for it."""
    is_given_up = circuit.get("reason") == "TIMEOUT"
    is_built = tuple(list_of(circuit, "path")) == evidence.built.get(circuit_id, (0, None))[1]
    if is_built and not is_given_up:
        yield f"circuit {circuit_id} was built as the record wants it, and the record says that it failed"
    if evidence.has_unbuilt and circuit_id not in evidence.circuits:
        yield f"circuit {circuit_id} failed, says the record, and Tor never said anything of it"
    if circuit_id in evidence.used:
        yield f"circuit {circuit_id} failed, says the record, and it was used"


def told_problems(stream: Json) -> Iterator[str]:
    """What no record says of a stream: a number that is none, a witness that is none, or too few of them."""
    for name in ("pid", "source_port", "circuit_id"):
        if type(stream.get(name)) is not int:
            yield f"its {name} {stream.get(name)!r:.40} is no number"
    if not isinstance(stream.get("is_lookup"), bool):
        yield f"whether it is a look-up is neither true nor false: {stream.get('is_lookup')!r:.40}"
    witnesses = list_of(stream, "witnesses")
    if sorted(map(str, witnesses)) not in (sorted(WITNESSES), sorted(WITHOUT_AN_ADDRESS)):
        yield f"its witnesses are {witnesses!r:.200}"


def one_of(stream_ids: Collection[int]) -> str:
    """One of them, and how many there are: there may be a million, and be named a thousand times."""
    first = next(iter(stream_ids))
    return f"{first}" if len(stream_ids) == 1 else f"{first} (and {len(stream_ids) - 1} more)"


def list_of(mapping: Json, key: str) -> list[object]:
    """What is no list has no items."""
    value = mapping.get(key)
    return value if isinstance(value, list) else []


def exit_of(record: Json) -> object:
    """The fingerprint of the exit that a record names."""
    exit = record.get("exit")
    return exit.get("fingerprint") if isinstance(exit, Mapping) else None


def failure_in(record: Json) -> Json:
    """Its failure; {} when it has none."""
    failure = record.get("failure")
    return failure if isinstance(failure, Mapping) else {}
