"""The workbook's first sheet: savings, the order of the work, what it returns. Formulas only."""

from typing import Any

from openpyxl.styles import Font

from cli.calculator.steps import CASES, DO, STEPS, TITLES

USD = '"$"#,##0.00'
SHARE = "0.0%"
FIRST = 5
LAST = FIRST + len(STEPS) - 1
SUM, LEFT = LAST + 1, LAST + 2
ROADMAP = LEFT + 4
RETURN = ROADMAP + len(STEPS) + 3
# Below half a nano-dollar nothing is saved.
NOTHING = "0.0000000005"
BLOCK = len(STEPS) + 3
_BOLD = Font(bold=True)
# Beside the savings, out of the way of who prints: dollars an hour, and the place in the order.
WORTH, PLACE = "R", "S"


def fill_result(sheet: Any) -> None:
    """Fills the sheet; needs the sheets Inputs, Rates, Base and Steps."""
    sheet["A1"], sheet["A1"].font = "What could be saved in a month", Font(bold=True, size=14)
    sheet["A2"], sheet["B2"] = "a month now", "=Steps!F2"
    sheet["B2"].number_format = USD
    _line(sheet, 4, ["each of what those before it left", *CASES, "expected, alone"], bold=True)
    for at, step in enumerate(STEPS):
        line = FIRST + at
        sheet.cell(line, 1, TITLES[step])
        for case in range(len(CASES)):
            _usd(sheet.cell(line, 2 + case, f"=Steps!G{_steps_row(case, at)}"))
        _usd(sheet.cell(line, 5, f"=Steps!I{_steps_row(1, at)}"))
        worth = f"IF(Rates!E{2 + at}=0,1E+15+C{line},C{line}/Rates!E{2 + at})"
        sheet[f"{WORTH}{line}"] = f"=IF(C{line}>{NOTHING},{worth},-1-{at})"
        sheet[f"{PLACE}{line}"] = (
            f'=COUNTIF({WORTH}${FIRST}:{WORTH}${LAST},">"&{WORTH}{line})'
            f"+COUNTIF({WORTH}${FIRST}:{WORTH}{line},{WORTH}{line})"
        )
    _line(sheet, SUM, ["all"], bold=True)
    _line(sheet, LEFT, ["left"], bold=True)
    _line(sheet, LEFT + 1, ["share saved"])
    for column in "BCD":
        _usd(sheet[f"{column}{SUM}"], f"=SUM({column}{FIRST}:{column}{LAST})")
        _usd(sheet[f"{column}{LEFT}"], f"=$B$2-{column}{SUM}")
        sheet[f"{column}{LEFT + 1}"] = f"={column}{SUM}/$B$2"
        sheet[f"{column}{LEFT + 1}"].number_format = SHARE
    sheet[f"{WORTH}4"], sheet[f"{PLACE}4"] = "USD an hour of work", "place"
    _roadmap(sheet)
    _returns(sheet)


def _roadmap(sheet: Any) -> None:
    labels = ["what to do first", "hours", "a month", "so far", "do"]
    _line(sheet, ROADMAP, labels, bold=True)
    for at in range(len(STEPS)):
        line = ROADMAP + 1 + at
        found = f"MATCH({at + 1},${PLACE}${FIRST}:${PLACE}${LAST},0)"
        saves = f"INDEX(${WORTH}${FIRST}:${WORTH}${LAST},{found})>=0"
        sheet.cell(line, 1, f'=IF({saves},INDEX($A${FIRST}:$A${LAST},{found}),"")')
        last = 1 + len(STEPS)
        sheet.cell(line, 2, f'=IF({saves},INDEX(Rates!$E$2:$E${last},{found}),"")')
        _usd(sheet.cell(line, 3, f'=IF({saves},INDEX($C${FIRST}:$C${LAST},{found}),"")'))
        _usd(sheet.cell(line, 4, f'=IF({saves},SUM(C${ROADMAP + 1}:C{line}),"")'))
        sheet.cell(line, 5, f'=IF({saves},INDEX($T${FIRST}:$T${LAST},{found}),"")')
        sheet[f"T{FIRST + at}"] = DO[STEPS[at]]


def _returns(sheet: Any) -> None:
    _line(sheet, RETURN, ["return", *CASES], bold=True)
    for at, label in enumerate(("work", "a month, net", "paid after, months", "first year")):
        sheet.cell(RETURN + 1 + at, 1, label)
    for column in "BCD":
        work, net = f"{column}{RETURN + 1}", f"{column}{RETURN + 2}"
        hours = (
            f"SUMPRODUCT(({column}{FIRST}:{column}{LAST}>{NOTHING})*Rates!$E$2:$E${1 + len(STEPS)})"
        )
        _usd(sheet[work], f"={hours}*Inputs!$B$9")
        _usd(sheet[net], f"={column}{SUM}-Inputs!$B$10")
        # Rounded to nine places first: 2.1 must not become 2.2 by the last bit.
        sheet[f"{column}{RETURN + 3}"] = f'=IF({net}>0,ROUNDUP(ROUND({work}/{net},9),1),"never")'
        year = f"{column}{RETURN + 4}"
        sheet[year] = f'=IF({work}=0,"-",TRUNC(ROUND((12*{net}-{work})/{work},9),2))'
        sheet[year].number_format = "0%"


def _steps_row(case: int, step: int) -> int:
    return case * BLOCK + 3 + step


def _usd(cell: Any, value: str | None = None) -> None:
    if value is not None:
        cell.value = value
    cell.number_format = USD


def _line(sheet: Any, line: int, labels: list[str], *, bold: bool = False) -> None:
    for column, label in enumerate(labels, start=1):
        cell = sheet.cell(line, column, label)
        if bold:
            cell.font = _BOLD
