"""What a module's source says of itself before it is run. It is parsed, and not carried out. Called by the command
line: a module that has no `teardown` needs none, and one that imports `torsocks` asks exits for addresses.
"""

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outline:
    """`functions`: those of its top level, imported ones too; `imports`: top-level names that it imports anywhere."""

    functions: frozenset[str]
    imports: frozenset[str]

    @staticmethod
    def of(path: Path) -> "Outline":
        """Of the module in this file. Raises OSError, SyntaxError and ValueError."""
        tree = ast.parse(path.read_bytes(), str(path))
        imports: set[str] = set()
        functions: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imports.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imports.add((node.module or "").partition(".")[0])
                functions.update(alias.asname or alias.name for alias in node.names)
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                functions.add(statement.name)
            elif isinstance(statement, ast.Assign):
                functions.update(target.id for target in statement.targets if isinstance(target, ast.Name))
        return Outline(frozenset(functions), frozenset(imports))
