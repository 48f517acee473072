"""The calculator as a workbook: what is typed in is in Inputs and Rates, all else are formulas.

Amounts are USD. A spreadsheet reckons in binary floating point, which is good for far more than the
cent that it shows; the CLI's own amounts are exact.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from cli.calculator.sheet_result import fill_result
from cli.calculator.steps import CASES, STEPS, TITLES
from cli.calculator.workload import BUCKETS, Row, Workload

USD = '"$"#,##0.00'
SHARE = "0.00%"
COUNT = "#,##0"
BP = 10_000
FIRST_MODEL = 17
# The cells of Inputs that formulas name.
TURNS, CACHED, TOOLS, DISCOUNT, SPEND, HOURLY, RUNNING = (f"Inputs!$B${n}" for n in range(4, 11))
CHEAP_INPUT, CHEAP_CACHED, CHEAP_OUTPUT = (f"Inputs!$B${n}" for n in range(12, 15))
HEADERS = (
    "model",
    "requests a month",
    "instructions a request",
    "new a request",
    "answer a request",
    "instructions",
    "history",
    "new",
    "output",
    "input, USD/M",
    "cached, USD/M",
    "output, USD/M",
)
_FILL = PatternFill("solid", fgColor="FFF4D6")
_BOLD = Font(bold=True)


def write(work: Workload, path: Path) -> None:
    """Writes the workbook. Raises OSError."""
    book = Workbook()
    inputs: Any = book.active
    inputs.title = "Inputs"
    _fill_inputs(inputs, work)
    _fill_rates(book.create_sheet("Rates"), work)
    _fill_base(book.create_sheet("Base"), len(work.rows))
    _fill_steps(book.create_sheet("Steps"))
    result = book.create_sheet("Result", 0)
    fill_result(result)
    _chart(result)
    for sheet in book.worksheets:
        _widths(sheet)
    # No amounts are kept in the file: every program reckons them when it opens it.
    book.calculation.fullCalcOnLoad = True
    book.save(path)


def _fill_inputs(sheet: Any, work: Workload) -> None:
    _head(sheet, 1, ["Inputs: change the yellow cells"])
    spend = None if work.spend_nanos is None else _dollars(work.spend_nanos)
    scalars: list[tuple[str, Any, str]] = [
        ("turns of a conversation", work.turns, COUNT),
        ("read from the provider's cache, of what is sent again", work.cached_bp / BP, SHARE),
        ("JSON of tools, of history and new tokens", work.tool_bp / BP, SHARE),
        ("what a batch takes off the price", work.batch_discount_bp / BP, SHARE),
        ("paid in the month, USD (empty: as the tokens cost)", spend, USD),
        ("an hour of work, USD", _dollars(work.hourly_nanos), USD),
        ("running the fleet for a month, USD", _dollars(work.running_nanos), USD),
    ]
    for line, (label, value, form) in enumerate(scalars, start=4):
        _input(sheet, line, label, value, form)
    _text(sheet.cell(11, 1), f"the cheaper model (empty: none): {work.cheap_name}")
    cheap = work.cheap
    picos = (
        (cheap.input_picos, cheap.cached_picos, cheap.output_picos) if cheap else (None, None, None)
    )
    for line, (name, value) in enumerate(
        zip(("input", "cached", "output"), picos, strict=True), start=12
    ):
        _input(sheet, line, f"{name}, USD a million tokens", _per_million(value), "0.000000")
    _head(sheet, FIRST_MODEL - 1, HEADERS)
    for line, row in enumerate(work.rows, start=FIRST_MODEL):
        _model(sheet, line, row, work.turns)


def _model(sheet: Any, line: int, row: Row, turns: int) -> None:
    _text(sheet.cell(line, 1), row.name)
    totals: Sequence[Any] = (
        row.instruction_tokens,
        _half(row.history_half_tokens),
        row.new_tokens,
        row.output_tokens,
    )
    per_request: Sequence[Any] = (None, None, None)
    whole = (row.instruction_tokens, row.new_tokens, row.output_tokens)
    again = (turns - 1) * (row.new_tokens + row.output_tokens)
    if (
        row.requests
        and not any(tokens % row.requests for tokens in whole)
        and again == row.history_half_tokens
    ):
        # A form's tokens are those of a request: they stay open to change.
        per_request = [tokens // row.requests for tokens in whole]
        totals = (
            f"=B{line}*C{line}",
            f"=B{line}*({TURNS}-1)/2*(D{line}+E{line})",
            f"=B{line}*D{line}",
            f"=B{line}*E{line}",
        )
    prices = (row.prices.input_picos, row.prices.cached_picos, row.prices.output_picos)
    values = [row.requests, *per_request, *totals, *map(_per_million, prices)]
    for column, value in enumerate(values, start=2):
        cell = sheet.cell(line, column, value)
        cell.number_format = COUNT if column < 10 else "0.000000"
        if not str(value).startswith("="):
            cell.fill = _FILL


def _fill_rates(sheet: Any, work: Workload) -> None:
    _head(sheet, 1, ["step", *CASES, "hours of work", "why"])
    for line, step in enumerate(STEPS, start=2):
        rate = work.rates[step]
        _text(sheet.cell(line, 1), TITLES[step])
        for column, case in enumerate(CASES, start=2):
            cell = sheet.cell(line, column, rate.of(case) / BP)
            cell.number_format, cell.fill = SHARE, _FILL
        sheet.cell(line, 5, work.hours[step]).fill = _FILL
        _text(sheet.cell(line, 6), rate.why)


def _fill_base(sheet: Any, models: int) -> None:
    """Row 2: what each bucket costs; row 3: what the cheaper model would take off it."""
    _head(sheet, 1, ["USD a month", *BUCKETS, "scale"])
    first, last = 7, 6 + models
    total = f"SUM(B{first}:E{last})"
    sheet.cell(2, 6, f"=IF(N({SPEND})>0,{SPEND}/{total},1)")
    for line, label, offset in ((2, "now", 0), (3, "saved by the cheaper model", 8)):
        sheet.cell(line, 1, label)
        for column in range(2, 6):
            place = get_column_letter(column + offset)
            cell = sheet.cell(line, column, f"=SUM({place}{first}:{place}{last})*$F$2")
            cell.number_format = USD
    titles = [f"{name}{what}" for what in (", now", ", cheap", ", gap") for name in BUCKETS]
    _head(sheet, 6, ["model", *titles])
    for at in range(models):
        line, source = first + at, FIRST_MODEL + at
        sheet.cell(line, 1, f"=Inputs!A{source}")
        own = [f"Inputs!{column}{source}" for column in "JKL"]
        cheap = [CHEAP_INPUT, CHEAP_CACHED, CHEAP_OUTPUT]
        for column, formula in enumerate(_costs(source, own) + _costs(source, cheap), start=2):
            sheet.cell(line, column, f"={formula}").number_format = USD
        dearer = f'AND({CHEAP_OUTPUT}<>"",SUM(F{line}:I{line})<SUM(B{line}:E{line}))'
        for column in range(10, 14):
            now, less = get_column_letter(column - 8), get_column_letter(column - 4)
            sheet.cell(line, column, f"=IF({dearer},{now}{line}-{less}{line},0)")


def _costs(source: int, prices: Sequence[str]) -> list[str]:
    read, cached, written = (f"N({price})" for price in prices)
    again = f"({read}*(1-{CACHED})+{cached}*{CACHED})"
    rates = (again, again, read, written)
    return [
        f"Inputs!{column}{source}*{rate}/1000000"
        for column, rate in zip("FGHI", rates, strict=True)
    ]


def _fill_steps(sheet: Any) -> None:
    """A block a case: what is left of each bucket after each step, then each step alone."""
    line = 1
    for at, case in enumerate(CASES):
        column = "BCD"[at]
        _head(sheet, line, [case, *BUCKETS, "left, USD", "saved, USD", "alone left", "alone saved"])
        _step_row(sheet, line + 1, "now", {}, first=2, left=6)
        for place, step in enumerate(STEPS, start=1):
            here = line + 1 + place
            taken = {name: f"Rates!${column}${2 + n}" for n, name in enumerate(STEPS[:place])}
            _step_row(sheet, here, TITLES[step], taken, first=2, left=6)
            sheet.cell(here, 7, f"=F{here - 1}-F{here}").number_format = USD
            alone = {step: taken[step]}
            _step_row(sheet, here, TITLES[step], alone, first=10, left=8)
            sheet.cell(here, 9, f"=F{line + 1}-H{here}").number_format = USD
        line += len(STEPS) + 3


def _step_row(
    sheet: Any, line: int, label: str, taken: dict[str, str], *, first: int, left: int
) -> None:
    """Four shares from column `first` on, and the amount that is left in column `left`."""
    rate = {step: taken.get(step, "0") for step in STEPS}
    hit, kept = rate["caching"], f"(1-{rate['compression']}*{TOOLS})"
    history = f"IF({TURNS}=1,0,MAX(0,{hit}*({hit}*{TURNS}-1)/({TURNS}-1)))"
    shares = (
        f"(1-{hit})*(1-{rate['instructions']})",
        f"(1-{history})*(1-{rate['context']})*{kept}",
        f"(1-{hit})*{kept}",
        f"1-{hit}",
    )
    sheet.cell(line, 1, label)
    for column, share in enumerate(shares, start=first):
        sheet.cell(line, column, f"={share}").number_format = SHARE
    span = f"{get_column_letter(first)}{line}:{get_column_letter(first + 3)}{line}"
    paid = f"SUMPRODUCT(Base!$B$2:$E$2,{span})"
    gap = f"SUMPRODUCT(Base!$B$3:$E$3,{span})"
    formula = f"=({paid}-{rate['routing']}*{gap})*(1-{rate['batch']}*{DISCOUNT})"
    sheet.cell(line, left, formula).number_format = USD


def _chart(sheet: Any) -> None:
    chart = BarChart()
    chart.type, chart.grouping, chart.overlap = "col", "stacked", 100
    chart.title, chart.y_axis.title = "Saved a month", "USD"
    for line in range(5, 5 + len(STEPS)):
        chart.add_data(
            Reference(sheet, min_col=1, max_col=4, min_row=line),
            from_rows=True,
            titles_from_data=True,
        )
    chart.set_categories(Reference(sheet, min_col=2, max_col=4, min_row=4))
    sheet.add_chart(chart, "I3")


def _input(sheet: Any, line: int, label: str, value: Any, form: str) -> None:
    sheet.cell(line, 1, label)
    cell = sheet.cell(line, 2, value)
    cell.number_format, cell.fill = form, _FILL


def _head(sheet: Any, line: int, labels: Sequence[str]) -> None:
    for column, label in enumerate(labels, start=1):
        cell = sheet.cell(line, column, label)
        cell.font, cell.alignment = _BOLD, Alignment(wrap_text=True, vertical="top")


def _text(cell: Any, text: str) -> None:
    """A text stays a text, also when it begins like a formula."""
    cell.value = "".join(sign for sign in text if sign.isprintable())
    cell.data_type = "s"


def _widths(sheet: Any) -> None:
    sheet.column_dimensions["A"].width = 44
    for column in range(2, 14):
        sheet.column_dimensions[get_column_letter(column)].width = 15


def _dollars(nanos: int) -> Any:
    from decimal import Decimal

    return Decimal(nanos).scaleb(-9)


def _per_million(picos: int | None) -> Any:
    from decimal import Decimal

    return None if picos is None else Decimal(picos).scaleb(-6)


def _half(halves: int) -> Any:
    from decimal import Decimal

    return Decimal(halves) / 2
