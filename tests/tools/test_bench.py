import ast
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "tools").rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_import_what_exists(script):
    """Their runs take minutes, so no test runs them; a renamed function must be renamed there too."""
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "edgekd":
            exec(compile(ast.Module([node], []), str(script), "exec"), {})
