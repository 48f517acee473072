import json
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import pytest

pytest.importorskip("openpyxl", reason="needs openpyxl")

from openpyxl import load_workbook

from cli.calculator.payback import payback, roadmap
from cli.calculator.reckon import reckon
from cli.calculator.sheet import write
from cli.calculator.steps import CASES, TITLES
from cli.demo_money import usd
from tests.unit.cli.calculator.works import works

# Prints the sheet Result as JSON, by cell. On its own: the library warns at import.
EVALUATE = """
import json, sys, formulas
model = formulas.ExcelModel().loads(sys.argv[1]).finish()
found = {}
for name, value in model.calculate().items():
    sheet, _, cell = str(name).rpartition("!")
    if sheet.endswith("RESULT'") and ":" not in cell:
        each = value.value[0, 0]
        found[cell] = each if isinstance(each, (int, float)) else str(each)
print(json.dumps(found, default=float))
"""


def evaluated(path):
    """The sheet Result as a spreadsheet program would show it: LibreOffice, else formulas."""
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office:
        folder = path.parent / "reckoned"
        home = f"-env:UserInstallation=file://{path.parent}/home"
        arguments = [office, home, "--headless", "--convert-to", "xlsx", "--outdir", folder, path]
        subprocess.run(arguments, check=True, capture_output=True, timeout=110)
        sheet = load_workbook(folder / path.name, data_only=True)["Result"]
        return {cell.coordinate: cell.value for row in sheet.iter_rows() for cell in row}
    pytest.importorskip("formulas", reason="needs LibreOffice or the package formulas")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EVALUATE, path],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cents(value):
    return usd(int((Decimal(repr(value)) * 10**9).to_integral_value()), 2)


@pytest.mark.parametrize(
    "name", ["chat", "paid otherwise", "no cheaper model", "the article's support chat"]
)
def test_formulas_agree_to_the_cent(name, tmp_path):
    """Savings, what is left, each step alone, the order of the work and the return."""
    work = works()[name]
    path = tmp_path / "calc.xlsx"
    write(work, path)
    seen, found = evaluated(path), reckon(work)
    assert cents(seen["B2"]) == usd(found.baseline_nanos, 2)
    for column, case in zip("BCD", CASES, strict=True):
        told, back = found.cases[case], payback(work, found.cases[case])
        for line, step in enumerate(told.steps, start=5):
            assert cents(seen[f"{column}{line}"]) == usd(step.saved_nanos, 2), (case, step.name)
        assert cents(seen[f"{column}12"]) == usd(told.left_nanos, 2)
        assert cents(seen[f"{column}26"]) == usd(back.work_nanos, 2)
        assert cents(seen[f"{column}27"]) == usd(back.month_nanos, 2)
        if back.tenths_of_months is None:
            assert seen[f"{column}28"] == "never"
        else:
            assert round(seen[f"{column}28"] * 10) == back.tenths_of_months
        assert round(seen[f"{column}29"] * 100) == back.year_percent
    for line, step in enumerate(found.cases["expected"].steps, start=5):
        assert cents(seen[f"E{line}"]) == usd(step.alone_nanos, 2)
    tasks = roadmap(work, found.cases["expected"])
    assert [seen[f"A{17 + at}"] for at in range(len(tasks))] == [TITLES[t.step] for t in tasks]
    assert cents(seen[f"D{16 + len(tasks)}"]) == usd(tasks[-1].so_far_nanos, 2)


def test_the_formulas_are_live(tmp_path):
    """Another number of requests in Inputs changes the result, as the CLI would."""
    work = works()["chat"]
    path = tmp_path / "calc.xlsx"
    write(work, path)
    book = load_workbook(path)
    for line, row in enumerate(work.rows, start=17):
        book["Inputs"].cell(line, 2).value = 2 * row.requests
    book.save(path)
    doubled = 2 * reckon(work).baseline_nanos
    assert cents(evaluated(path)["B2"]) == usd(doubled, 2)


def test_a_name_is_no_formula(tmp_path):
    """A model's name from an export stays a text."""
    work = works()["chat"]
    rows = (replace(work.rows[0], name="=HYPERLINK(1)\x07"), *work.rows[1:])
    path = tmp_path / "calc.xlsx"
    write(replace(work, rows=rows), path)
    cell = load_workbook(path)["Inputs"]["A17"]
    assert (cell.data_type, cell.value) == ("s", "=HYPERLINK(1)")
