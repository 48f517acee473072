"""Money never meets float: not in the contracts, not in the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MONEY = re.compile(r"nanos|picos|(^|_)usd(_|$)|(^|_)(cost|price|charged|saved)(_|$)")
# Where whole nano-USD become what people read; nothing is calculated from it any more.
DISPLAY = {"gateway/saga/summary.py"}
ROOMS = ("chassis", "catalog", "services", "gateway", "cli", "bench")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def _names(node):
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
        elif isinstance(each, ast.arg):
            yield each.arg


def _is_money(node):
    return any(MONEY.search(name.lower()) for name in _names(node))


def _offences(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float":
            if any(_is_money(arg) for arg in node.args):
                yield node, "float() of money"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if _is_money(node.left) or _is_money(node.right):
                yield node, "true division of money"
        elif isinstance(node, ast.BinOp) and _is_money(node):
            for side in (node.left, node.right):
                if isinstance(side, ast.Constant) and isinstance(side.value, float):
                    yield node, "money with a float literal"
        elif isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            target = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
            if MONEY.search(target.lower()) and "float" in ast.unparse(node.annotation):
                yield node, "money annotated as float"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_float_near_money(path):
    """Multiply and add whole numbers; divide by a named helper that rounds once."""
    name = str(path.relative_to(ROOT))
    found = [
        f"{name}:{node.lineno} {what}"
        for node, what in _offences(ast.parse(path.read_text()))
        if name not in DISPLAY
    ]
    assert found == []


def test_the_check_sees_what_it_must():
    """It is no good if it cannot fail."""
    for bad in ("float(cost_nanos)", "x = price / 3", "y = 0.5 * saved", "cost: float = 0"):
        assert list(_offences(ast.parse(bad))), bad
    assert not list(_offences(ast.parse("z = cost_nanos * 3 + left // 2")))


@pytest.mark.parametrize("path", sorted((ROOT / "protos").rglob("*.proto")), ids=lambda p: p.name)
def test_no_float_near_money_on_the_wire(path):
    """Amounts are int64 nano-USD, prices int64 pico-USD, sums beyond int64 decimal text."""
    for line in path.read_text().splitlines():
        field = re.match(r"\s*(?:optional |repeated )?(float|double) (\w+) = ", line)
        assert field is None or not MONEY.search(field[2]), line
