"""What the launcher can't hide: of others, in folders that the run can enter or can't. Only root makes such folders."""

import errno
import os
import sys
from pathlib import Path

import pytest

from exitpin.shim.bindings import NoticeKind, Reason

from .conftest import Shim
from .test_guard import REACHES, X86

NOBODY = 65534
"""Whom the namespace of the tests does not know."""

pytestmark = [
    pytest.mark.parametrize("shim", ["guard"], indirect=True),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes folders of others"),
]


@X86
def test_what_nobody_of_the_run_can_reach_needs_no_hiding(shim: Shim, daemon: Path) -> None:
    os.chown(daemon.parent, NOBODY, NOBODY)
    run = shim.run(sys.executable, "-I", "-c", REACHES, str(daemon), flags=("--hide", str(daemon)))
    assert run.lines == ["Permission denied"]


def test_where_the_owner_could_open_a_folder_what_is_in_it_must_be_hidden(shim: Shim, daemon: Path) -> None:
    """In the namespace nobody has that group, so that not even its root may pass; but chmod(2) he may."""
    os.chown(daemon.parent, -1, NOBODY)
    daemon.parent.chmod(0)
    refused = shim.run("true", flags=("--hide", str(daemon))).of(NoticeKind.REFUSED)
    assert (refused.reason, refused.error) == (Reason.CONTAINMENT, errno.EACCES)
