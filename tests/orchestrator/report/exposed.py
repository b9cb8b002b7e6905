"""A reader of the text format of Prometheus that takes nothing but what the format allows."""

import re

NAME = re.compile(r"[a-z][a-z0-9_]*")
SAMPLE = re.compile(r"([a-z_0-9]+)\{(.*)\} (-?\d+(?:\.\d+)?)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
NOT_OF_A_GAUGE = ("_total", "_count", "_sum", "_bucket", "_gauge")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Sample = tuple[dict[str, str], float]


class Exposed(dict[str, list[Sample]]):
    """The samples by metric."""

    def value(self, name: str) -> float:
        """Of a metric with one sample."""
        ((_, value),) = self[name]
        return value


def parsed(text: str) -> Exposed:
    """Raises AssertionError for what Prometheus or its linter would refuse."""
    assert text.endswith("\n") or not text
    found, current, is_typed = Exposed(), "", False
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            _, _, current, told = line.split(" ", 3)
            assert NAME.fullmatch(current) and told and current not in found, line
            assert not current.endswith(NOT_OF_A_GAUGE), line
            found[current], is_typed = [], False
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {current} gauge" and not is_typed and not found[current], line
            is_typed = True
        else:
            name, labels, value = _sample(line)
            assert name == current and is_typed, line
            assert labels not in [known for known, _ in found[name]], f"twice: {line}"
            found[name].append((labels, value))
    return found


def _sample(line: str) -> tuple[str, dict[str, str], float]:
    match = SAMPLE.fullmatch(line)
    assert match is not None, line
    rest, labels = match[2], {}
    while rest:
        label = LABEL.match(rest)
        assert label is not None and label[1] not in labels, line
        labels[label[1]] = re.sub(r"\\.", lambda escape: ESCAPES[escape[0]], label[2])
        rest = rest[label.end() :]
    return match[1], labels, float(match[3])
