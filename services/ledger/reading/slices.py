"""What the anatomy is made from: the calls of each model on each day."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from services.ledger.insight.anatomy import Slice
from services.ledger.reading.columns import read_tokens
from services.ledger.reading.kinds import DEVELOPMENT, ENVIRONMENT_TAGS
from services.ledger.reading.uses import Here, again, asked, failed
from services.ledger.rules.pricing import Prices
from services.ledger.rules.refusals import ModelUnpriced
from services.ledger.rules.values import Tokens
from services.ledger.rules.windows import DAY_US
from services.ledger.sql import schema

_entry = schema.entry
_SEGMENTS = ("system_tokens", "tools_tokens", "history_tokens", "new_tokens")


def slices(conn: Connection, here: Here, prices: Prices) -> list[Slice]:
    """All rows of the period, each in exactly one part of one slice."""
    day = (_entry.c.book_us - _entry.c.book_us % literal_column(str(DAY_US))).label("day")
    # Each condition excludes those before it, so that no row counts twice.
    development = _development()
    other = and_(not_(development), not_(asked()))
    lost = and_(not_(development), asked(), failed())
    retried = and_(not_(development), asked(), not_(failed()), again())
    plain = and_(not_(development), asked(), not_(failed()), not_(again()))
    segmented = and_(plain, _entry.c.new_tokens.is_not(None))
    columns = [
        *(_sum(which, _entry.c.cost_nanos) for which in (development, other, lost, retried, plain)),
        *(_sum(plain, _entry.c[name]) for name in schema.TOKEN_COLUMNS),
        *(_sum(segmented, func.coalesce(_entry.c[name], 0)) for name in _SEGMENTS),
        _sum(and_(plain, _entry.c.new_tokens.is_(None)), read_tokens()),
        _sum(asked(), 1),
        _sum(segmented, 1),
    ]
    rows = conn.execute(
        select(_entry.c.model_used, day, *columns)
        .where(*here)
        .group_by(_entry.c.model_used, literal_column("day"))
    )
    return [_slice(row, prices) for row in rows]


def _slice(row: Any, prices: Prices) -> Slice:
    model, day_us, *numbers = row
    dev, other, lost, retried, plain, *rest = (int(number or 0) for number in numbers)
    width = len(schema.TOKEN_COLUMNS)
    tokens = Tokens(*rest[:width])
    system, tools, history, new, unsegmented, calls, segmented = rest[width:]
    try:
        # The price at noon: one that changed within the day shows as a price difference.
        rates = prices.price(model, int(day_us) + DAY_US // 2).rates
    except ModelUnpriced:
        rates = None
    return Slice(
        plain_nanos=plain,
        tokens=tokens,
        rates=rates,
        system_tokens=system,
        tools_tokens=tools,
        history_tokens=history,
        new_tokens=new,
        unsegmented_tokens=unsegmented,
        development_nanos=dev,
        failed_nanos=lost,
        again_nanos=retried,
        other_nanos=other,
        calls=calls,
        segmented_calls=segmented,
    )


def _development() -> ColumnElement[bool]:
    tags = [
        func.coalesce(_entry.c.tags[name].as_string(), "").in_(DEVELOPMENT)
        for name in ENVIRONMENT_TAGS
    ]
    return or_(_entry.c.project.in_(DEVELOPMENT), *tags)


def _sum(condition: ColumnElement[bool], value: Any) -> ColumnElement[Any]:
    return func.sum(case((condition, value), else_=0))
