"""What of a fact's texts is compared without regard to capitals and blanks: what a protocol reads so, and nothing else.

A tool says it with a pattern (`fold`): a header's name is folded, and the path in its value is not. The texts were
written by the suspect, so all of them together have half a second. Called by `extraction.py`.
"""

import time
from collections.abc import Callable

from ..orchestrator.audit.facts import folded
from ..orchestrator.tool import FOLD_ALL


class FoldingTimeout(Exception):
    """The pattern did not end in time: nothing is known about the texts."""


def folder(pattern: str, timeout_s: float) -> Callable[[str], str]:
    """What folds each part of a text that the pattern matches; an empty pattern folds nothing.

    What is returned raises FoldingTimeout once it has taken `timeout_s` of the processor's time in all.
    """
    if not pattern:
        return str
    if pattern == FOLD_ALL:
        return folded
    import regex  # 15 ms, and few tools have such a pattern

    left_s = timeout_s

    def fold(text: str) -> str:
        nonlocal left_s
        began = time.thread_time()
        try:
            if left_s <= 0:
                raise TimeoutError
            done: str = regex.sub(pattern, lambda part: folded(part[0]), text, timeout=left_s, concurrent=True)
            return done
        except TimeoutError:
            raise FoldingTimeout(f"fold: {pattern!r} took longer than {timeout_s:g} s") from None
        except (regex.error, MemoryError) as error:
            raise FoldingTimeout(f"fold: {pattern!r}: {error or 'out of memory'}") from None
        finally:
            left_s -= time.thread_time() - began

    return fold
