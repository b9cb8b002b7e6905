"""The tools that can be found from where the user stands, for the verbs of `exitpin tools`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...wrappers.tool_files import Catalogue


def catalogue() -> "Catalogue":
    """What is found from the current folder. Imports pydantic: only who needs tools should wait for it."""
    from ...wrappers.tool_files import load_catalogue

    return load_catalogue(os.environ, Path.cwd())
