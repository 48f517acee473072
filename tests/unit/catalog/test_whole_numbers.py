import ast
import subprocess
import sys
from pathlib import Path

import catalog

ROOM = Path(catalog.__file__).parent
# What is no money: seconds, temperatures, numbers in answers.
NO_MONEY = {"agreement.py", "caching.py", "resilience.py", "schema.py", "shapes.py"}


def test_no_float_comes_near_money() -> None:
    """No module that touches prices divides, converts to float or writes a float literal."""
    checked = 0
    for path in sorted(ROOM.glob("*.py")):
        if path.name in NO_MONEY:
            continue
        checked += 1
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            assert not (isinstance(node, ast.Name) and node.id == "float"), where
            assert not isinstance(node, ast.Div), where
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            assert not literal or path.name == "nearest.py", where
    assert checked > 8


def test_nothing_happens_at_import() -> None:
    """Importing the whole room neither loads the published catalogue nor reads our files."""
    modules = [f"catalog.{path.stem}" for path in ROOM.glob("*.py") if path.stem != "__init__"]
    code = f"import sys, {', '.join(modules)}\nassert 'genai_prices' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOM.parent)
