"""Whether a document's console blocks are read, run and compared as their reader would."""

import os
import subprocess
from pathlib import Path

import pytest

from . import console

pytestmark = pytest.mark.timeout(60)

TEXT = """\
A page.

.. code:: console

   $ echo one |
       cat
   one
   $ true

.. code:: sh

   $ no console

.. code:: console

   $ echo a \\
       b
   a b
"""


def test_blocks_have_commands_with_what_they_print() -> None:
    assert console.blocks(TEXT) == [
        [console.Shown("echo one |\n    cat", "one"), console.Shown("true", "")],
        [console.Shown("echo a \\\n    b", "a b")],
    ]


def test_a_block_is_one_shell_on_a_terminal(tmp_path: Path) -> None:
    commands = ["x=7", "test -t 1 && echo $x", "printf '\\r1 of 2\\r\\033[K'; echo a; echo b >&2", "false; echo $?"]
    assert console.run(commands, tmp_path, dict(os.environ), 30) == ["", "7", "a\nb", "1"]


def test_a_block_has_a_deadline(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        console.run(["tail -f /dev/null"], tmp_path, dict(os.environ), 0.3)


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("one\ntwo", "one\ntwo", True),
        ("one\ntwo", "one\ntwo\nthree", False),
        ("one\n...", "one\ntwo\nthree", True),
        ("one ...", "one or two", True),
        ("one\n...\nthree", "one\nthree", True),
        ("...\ntwo", "one", False),
        ("ok exit01/AAAAAAAA", "ok exit01/0123ABCD", True),
        ("ok exit01 (AAAAAAAA)", "ok exit01 (0123ABCD)", True),
        ("ok exit01/AAAAAAAA", "ok exit02/AAAAAAAA", False),
        ("20261129T074840-ec632c: 1 ok", "20270101T000000-000000: 1 ok", True),
        ("20261129T074840-ec632c: 1 ok", "20270101T000000-000000: 2 ok", False),
        ("after 9.5 s", "after 12 s", True),
        ("", "", True),
        ("", "a word", False),
    ],
)
def test_only_what_differs_from_run_to_run_may_differ(shown: str, printed: str, expected: bool) -> None:
    assert console.is_so(shown, printed) is expected
