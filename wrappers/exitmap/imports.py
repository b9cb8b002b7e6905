"""What a module's source says of itself before it is run. It is parsed, and not carried out. Called by the command
line: a module that has no `teardown` needs none, and one that imports `torsocks` asks exits for addresses.
"""

import ast
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outline:
    """`names`: what its top level defines or assigns, and what it imports by name; `imports`: the top-level modules
    that it imports from, anywhere; `digest`: SHA-256 of the file, in hex."""

    names: frozenset[str]
    imports: frozenset[str]
    digest: str

    @staticmethod
    def of(path: Path) -> "Outline":
        """Of the module in this file. Raises OSError, SyntaxError and ValueError."""
        source = path.read_bytes()
        tree = ast.parse(source, str(path))
        imports: set[str] = set()
        names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imports.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imports.add((node.module or "").partition(".")[0])
                names.update(alias.asname or alias.name for alias in node.names)
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                names.add(statement.name)
            elif isinstance(statement, ast.Assign):
                names.update(target.id for target in statement.targets if isinstance(target, ast.Name))
        return Outline(frozenset(names), frozenset(imports), sha256(source).hexdigest())
