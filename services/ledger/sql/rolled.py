"""The sums of a period: of its whole days by the day, of what is left at its ends by the hour."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import FromClause, Select, and_, or_, select, union_all

from services.ledger.rules.windows import DAY_US
from services.ledger.sql import schema


def rolled(tenant: str, start_us: int, end_us: int, *, by_hour: bool) -> FromClause:
    """Rows of a tenant from `start_us` on and before `end_us`, full hours both, with the columns of
    rollup_hour. Not `by_hour` a whole day is one row, at its beginning: a twentieth of the rows."""
    hour, day = schema.rollup_hour, schema.rollup_day
    first = start_us + -start_us % DAY_US
    last = end_us - end_us % DAY_US
    inside = and_(hour.c.tenant == tenant, hour.c.hour_us >= start_us, hour.c.hour_us < end_us)
    if by_hour or first >= last:
        return _named(hour, hour.c.hour_us).where(inside).subquery()
    ends = or_(hour.c.hour_us < first, hour.c.hour_us >= last)
    return union_all(
        _named(day, day.c.day_us).where(
            day.c.tenant == tenant, day.c.day_us >= first, day.c.day_us < last
        ),
        _named(hour, hour.c.hour_us).where(inside, ends),
    ).subquery()


def _named(table: Any, start: Any) -> Select[Any]:
    names: Sequence[str] = (*schema.ROLLUP_KEY_COLUMNS[1:], *schema.SUM_COLUMNS)
    return select(start.label("hour_us"), *(table.c[name] for name in names))
