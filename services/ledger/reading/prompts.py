"""Prompts that come again, prompts that stay the same, conversations that grow, users."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, desc, func, literal_column, select

from services.ledger.insight.facts import (
    CACHEABLE_TOKENS,
    GROWN_TIMES,
    REQUEST_SAMPLE,
    Grown,
    Near,
    Repeats,
    Static,
    Users,
)
from services.ledger.reading.columns import read_tokens
from services.ledger.reading.uses import Here, asked
from services.ledger.rules.values import AttemptOutcome
from services.ledger.rules.windows import DAY_US, HOUR_US
from services.ledger.sql import schema

GROUPS_MAX = 20
TURNS_MIN = 4
_entry = schema.entry


def repeats(conn: Connection, here: Here) -> list[Repeats]:
    """By feature, the dearest first."""
    whole = _repeated(conn, here, None)
    by_day = _repeated(conn, here, DAY_US)
    by_hour = _repeated(conn, here, HOUR_US)
    found = sorted(whole, key=lambda feature: (-whole[feature][1], feature))[:GROUPS_MAX]
    return [
        Repeats(
            feature,
            whole[feature][0],
            by_hour.get(feature, (0, 0))[1],
            by_day.get(feature, (0, 0))[1],
            whole[feature][1],
            _repeated_requests(conn, here, feature),
        )
        for feature in found
    ]


def _repeated(conn: Connection, here: Here, within_us: int | None) -> dict[str, tuple[int, int]]:
    """By feature how often prompts came again, and what that cost."""
    key: list[ColumnElement[Any]] = [_entry.c.feature, _entry.c.prompt_hash, _entry.c.model_used]
    if within_us is not None:
        key.append(_entry.c.book_us - _entry.c.book_us % literal_column(str(within_us)))
    count, cost = func.count(), func.sum(_entry.c.cost_nanos)
    groups = (
        select(
            _entry.c.feature.label("feature"),
            (count - 1).label("again"),
            # The first one had to be paid for: one of equal ones costs the mean.
            (cost - cost // count).label("spent"),
        )
        .where(*here, asked(), _good(), _entry.c.prompt_hash.is_not(None))
        .group_by(*key)
        .having(count > 1)
        .subquery()
    )
    rows = conn.execute(
        select(groups.c.feature, func.sum(groups.c.again), func.sum(groups.c.spent)).group_by(
            groups.c.feature
        )
    )
    return {feature: (int(again), int(spent)) for feature, again, spent in rows}


def _repeated_requests(conn: Connection, here: Here, feature: str) -> tuple[str, ...]:
    cost = func.sum(_entry.c.cost_nanos)
    top = conn.execute(
        select(_entry.c.prompt_hash)
        .where(*here, asked(), _good(), _entry.c.feature == feature)
        .where(_entry.c.prompt_hash.is_not(None))
        .group_by(_entry.c.prompt_hash)
        .having(func.count() > 1)
        .order_by(desc(cost), _entry.c.prompt_hash)
        .limit(1)
    ).scalar()
    return _requests(conn, [*here, _entry.c.feature == feature, _entry.c.prompt_hash == top])


def near(conn: Connection, here: Here) -> list[Near]:
    """By feature, the dearest first."""
    cost = func.sum(_entry.c.cost_nanos)
    told = _entry.c.near_hash.is_not(None)
    rows = conn.execute(
        select(_entry.c.feature, func.count(), cost)
        .where(*here, asked(), _good(), told)
        .group_by(_entry.c.feature)
        .order_by(desc(cost), _entry.c.feature)
        .limit(GROUPS_MAX)
    ).all()
    return [
        Near(
            feature,
            count,
            int(spent),
            _requests(conn, [*here, told, _entry.c.feature == feature]),
        )
        for feature, count, spent in rows
    ]


def static(conn: Connection, here: Here) -> list[Static]:
    """System prompts that are long enough for a provider's cache, the most tokens first."""
    key = (_entry.c.feature, _entry.c.model_used, _entry.c.system_hash)
    tokens = func.sum(_entry.c.system_tokens)
    rows = conn.execute(
        select(*key, func.count(), tokens, func.sum(_entry.c.cached_input_tokens))
        .where(*here, asked(), _good(), _entry.c.system_tokens >= CACHEABLE_TOKENS)
        .where(_entry.c.system_hash.is_not(None))
        .group_by(*key)
        .having(func.count() > 1)
        .order_by(desc(tokens), *key)
        .limit(GROUPS_MAX)
    ).all()
    return [
        Static(
            feature,
            model,
            calls,
            int(read),
            int(cached),
            _requests(conn, [*here, _entry.c.system_hash == name, _entry.c.feature == feature]),
        )
        for feature, model, name, calls, read, cached in rows
    ]


def grown(conn: Connection, here: Here) -> list[Grown]:
    """Conversations that read more with every turn, the most tokens first."""
    key = (_entry.c.feature, _entry.c.model_used, _entry.c.session)
    turns = (
        select(*(column.label(column.name) for column in key), _least().label("least"))
        .where(*here, asked(), _good(), _entry.c.session != "")
        .group_by(*key)
        .having(func.count() >= TURNS_MIN)
        .subquery()
    )
    over = read_tokens() - turns.c.least * GROWN_TIMES
    excess = func.sum(case((over > 0, over), else_=0))
    rows = conn.execute(
        select(
            _entry.c.feature,
            _entry.c.model_used,
            func.count(_entry.c.session.distinct()),
            func.count(),
            excess,
        )
        .join(
            turns,
            (turns.c.session == _entry.c.session)
            & (turns.c.feature == _entry.c.feature)
            & (turns.c.model_used == _entry.c.model_used),
        )
        .where(*here, asked(), _good())
        .group_by(_entry.c.feature, _entry.c.model_used)
        .having(excess > 0)
        .order_by(desc(excess), _entry.c.feature, _entry.c.model_used)
        .limit(GROUPS_MAX)
    ).all()
    return [
        Grown(feature, model, sessions, calls, int(tokens), _longest(conn, here, feature, model))
        for feature, model, sessions, calls, tokens in rows
    ]


def users(conn: Connection, here: Here) -> Users:
    """What users cost."""
    cost = func.sum(_entry.c.cost_nanos)
    asked_of = select(_entry.c.user_id, cost, func.count(_entry.c.request_id.distinct())).where(
        *here, _entry.c.user_id != ""
    )
    by_user = asked_of.group_by(_entry.c.user_id).order_by(desc(cost), _entry.c.user_id)
    whole = select(func.count(_entry.c.user_id.distinct()), cost)
    count, total = conn.execute(whole.where(*here, _entry.c.user_id != "")).one()
    if not count:
        return Users(0, 0, 0)
    middle = conn.execute(by_user.limit(1).offset(count // 2)).one()
    dearest = conn.execute(by_user.limit(GROUPS_MAX)).all()
    return Users(
        count,
        int(middle[1]),
        int(total),
        [(user, int(spent), requests) for user, spent, requests in dearest],
    )


def _least() -> ColumnElement[int]:
    return func.min(read_tokens())


def _good() -> ColumnElement[bool]:
    return _entry.c.outcome == int(AttemptOutcome.OK)


def _longest(conn: Connection, here: Here, feature: str, model: str) -> tuple[str, ...]:
    return _requests(
        conn,
        [*here, _entry.c.feature == feature, _entry.c.model_used == model, _entry.c.session != ""],
        read_tokens(),
    )


def _requests(
    conn: Connection, where: Sequence[ColumnElement[bool]], order: Any = None
) -> tuple[str, ...]:
    most = _entry.c.cost_nanos if order is None else order
    rows = conn.execute(
        select(_entry.c.request_id)
        .where(*where, asked(), _good())
        .order_by(desc(most), _entry.c.entry_no)
        .limit(REQUEST_SAMPLE)
    )
    return tuple(dict.fromkeys(request_id for (request_id,) in rows))
