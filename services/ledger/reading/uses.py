"""What features made of models: one look through a period's rows."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, desc, func, or_, select

from services.ledger.insight.facts import REQUEST_SAMPLE, SHORT_TOKENS, Part, Use
from services.ledger.reading.kinds import AGAIN, ASKED
from services.ledger.rules.values import AttemptOutcome, Tokens
from services.ledger.sql import schema

Here = Sequence[ColumnElement[bool]]
_entry = schema.entry
_PARTS = ("all", "short", "alone", "unstreamed", "failed", "again")
_FACTS = (
    "segmented_calls",
    "system_tokens",
    "new_tokens",
    "limited_calls",
    "limit_tokens",
    "limited_output_tokens",
)
_WIDTH = 2 + len(schema.TOKEN_COLUMNS)


def asked() -> ColumnElement[bool]:
    """Rows of calls that a caller asked for."""
    return _entry.c.kind.in_(ASKED)


def failed() -> ColumnElement[bool]:
    """Rows that brought no answer."""
    return _entry.c.outcome != int(AttemptOutcome.OK)


def again() -> ColumnElement[bool]:
    """Rows of tries after the first one."""
    return or_(_entry.c.attempt_number > 1, _entry.c.kind.in_(AGAIN))


def uses(conn: Connection, here: Here) -> list[Use]:
    """What each feature made of each model, the dearest first."""
    key = (_entry.c.feature, _entry.c.model_used, _entry.c.provider)
    written = _entry.c.output_tokens + _entry.c.reasoning_tokens
    good = and_(_entry.c.outcome == int(AttemptOutcome.OK), written > 0)
    plain = _entry.c.first_token_ms == 0
    alone = and_(good, plain, _entry.c.user_id == "", _entry.c.session == "")
    conditions: dict[str, ColumnElement[bool] | None] = {
        "all": None,
        "short": and_(good, written <= SHORT_TOKENS),
        "alone": alone,
        "unstreamed": and_(good, plain),
        "failed": failed(),
        "again": and_(again(), _entry.c.outcome == int(AttemptOutcome.OK)),
    }
    columns: list[ColumnElement[Any]] = []
    for name in _PARTS:
        columns += _part(conditions[name])
    segmented, limited = _entry.c.new_tokens.is_not(None), _entry.c.output_tokens_max.is_not(None)
    columns += [
        _sum_if(segmented, 1),
        func.sum(func.coalesce(_entry.c.system_tokens, 0)),
        func.sum(func.coalesce(_entry.c.new_tokens, 0)),
        _sum_if(and_(limited, good), 1),
        _sum_if(and_(limited, good), _entry.c.output_tokens_max),
        _sum_if(and_(limited, good), written),
    ]
    rows = conn.execute(
        select(*key, *columns)
        .where(*here, asked())
        .group_by(*key)
        .order_by(desc(func.sum(_entry.c.cost_nanos)), *key)
    )
    return [_use(row) for row in rows]


def sample(conn: Connection, here: Here, feature: str, model: str) -> tuple[str, ...]:
    """Requests to look at: the dearest of a feature and model."""
    rows = conn.execute(
        select(_entry.c.request_id)
        .where(*here, asked(), _entry.c.feature == feature, _entry.c.model_used == model)
        .order_by(desc(_entry.c.cost_nanos), _entry.c.entry_no)
        .limit(REQUEST_SAMPLE)
    )
    return tuple(dict.fromkeys(request_id for (request_id,) in rows))


def _part(condition: ColumnElement[bool] | None) -> list[ColumnElement[Any]]:
    values = [_entry.c.cost_nanos, *(_entry.c[name] for name in schema.TOKEN_COLUMNS)]
    if condition is None:
        return [func.count(), *(func.sum(value) for value in values)]
    return [_sum_if(condition, 1), *(_sum_if(condition, value) for value in values)]


def _sum_if(condition: ColumnElement[bool], value: Any) -> ColumnElement[Any]:
    return func.sum(case((condition, value), else_=0))


def _use(row: Sequence[Any]) -> Use:
    feature, model, provider = row[:3]
    numbers = [int(number or 0) for number in row[3:]]
    parts: dict[str, Any] = {}
    for place, name in enumerate(_PARTS):
        calls, cost, *tokens = numbers[place * _WIDTH : (place + 1) * _WIDTH]
        parts[name] = Part(calls, cost, Tokens(*tokens))
    parts.update(zip(_FACTS, numbers[len(_PARTS) * _WIDTH :], strict=True))
    return Use(feature, model, provider, **parts)
