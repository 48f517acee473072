"""What the books say of the days that a provider tells about."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, literal_column, select

from catalog.fleet import Fleet
from services.ledger.insight.reconcile import Line
from services.ledger.reading.columns import rows_between
from services.ledger.reading.kinds import BILLED
from services.ledger.reading.models import undated
from services.ledger.rules.values import Tokens, UsageSource
from services.ledger.rules.windows import DAY_US, to_datetime, to_micros
from services.ledger.sql import schema
from services.ledger.sql.database import Database

_entry = schema.entry


class UnknownDay(ValueError):
    """A text is no day of the calendar."""


class Booked:
    """The books by day, model and provider. Every method raises BooksUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lines(self, tenant: str, days: Sequence[str]) -> list[Line]:
        """All that was booked on these days for providers. Raises: UnknownDay."""
        starts = {day: _start_us(day) for day in days}

        def work(conn: Connection) -> list[Line]:
            found: list[Line] = []
            for day, start_us in sorted(starts.items()):
                found += _day(conn, tenant, day, start_us)
            return found

        return await self._database.read(work)


class Names:
    """One name for a model on both sides: what its provider calls it, without a snapshot's date."""

    def __init__(self, fleet: Fleet) -> None:
        self._names: dict[str, str] = {}
        self.take_over(fleet)

    def take_over(self, fleet: Fleet) -> None:
        """Knows the models of `fleet` too; those known before are still booked."""
        for name, model in fleet.config.models.items():
            upstream = undated(model.upstream_model or name)
            self._names.update(dict.fromkeys((name, *model.aliases), upstream))
            self._names.setdefault(upstream, upstream)
            if model.upstream_model:
                self._names.setdefault(model.upstream_model, upstream)

    def same(self, model: str) -> str:
        """The one name; of models nobody configured their own without a date."""
        return self._names.get(model) or self._names.get(undated(model)) or undated(model)

    def known(self, model: str) -> bool:
        """Whether the fleet file has it."""
        return model in self._names


def _day(conn: Connection, tenant: str, day: str, start_us: int) -> list[Line]:
    rows = conn.execute(
        select(
            _entry.c.model_used,
            _entry.c.provider,
            func.count(),
            func.sum(_entry.c.cost_nanos),
            *(func.sum(_entry.c[name]) for name in schema.TOKEN_COLUMNS),
        )
        .where(
            *rows_between(conn, tenant, start_us, start_us + DAY_US),
            _entry.c.kind.in_(BILLED),
            # What was not billed is on no provider's list.
            _entry.c.usage_source != literal_column(str(int(UsageSource.NONE))),
        )
        .group_by(_entry.c.model_used, _entry.c.provider)
    )
    return [
        Line(day, model, provider, count, Tokens(*(int(n or 0) for n in tokens)), int(cost or 0))
        for model, provider, count, cost, *tokens in rows
    ]


def _start_us(day: str) -> int:
    try:
        at = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UnknownDay(day) from None
    if at < to_datetime(0) or at > datetime(9000, 1, 1, tzinfo=UTC) - timedelta(days=1):
        raise UnknownDay(day)
    return to_micros(at)
