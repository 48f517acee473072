"""Virtual keys: made, found by their secret, listed, disabled."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, or_, select
from sqlalchemy.exc import IntegrityError

from services.ledger.rules.configuring import Key, KeyChange, Limits, NewKey
from services.ledger.rules.refusals import IdReused, KeyInvalid, KeyUnknown
from services.ledger.rules.secrets import (
    SECRET_CHARS_MAX,
    hint_of,
    new_secret,
    same_hash,
    secret_hash,
)
from services.ledger.rules.values import KeyRole
from services.ledger.sql import schema
from services.ledger.sql.database import Database

_table = schema.api_key


class KeyStore:
    """The keys of all tenants. Every method raises BooksUnavailable."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], int],
        *,
        pepper: bytes,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._clock = clock
        self._pepper = pepper
        self._random_bytes = random_bytes

    async def create(self, new: NewKey) -> tuple[Key, str]:
        """The key and its secret; "" for the secret when the key was made already.

        Raises: IdReused.
        """
        secret = new_secret(self._random_bytes)
        try:
            return await self._database.write(lambda conn: self._create(conn, new, secret))
        except IntegrityError:
            # Another ledger made one of this id in the same moment: it is there now.
            return await self._database.write(lambda conn: self._create(conn, new, secret))

    async def resolve(self, secret: str) -> Key:
        """The key that `secret` opens. Raises: KeyInvalid, whatever is wrong with it."""
        wanted = secret_hash(self._pepper, secret[:SECRET_CHARS_MAX])

        def work(conn: Connection) -> Key:
            row = (
                conn.execute(
                    select(_table).where(
                        or_(_table.c.secret_hash == wanted, _table.c.previous_hash == wanted)
                    )
                )
                .mappings()
                .one_or_none()
            )
            if row is None or len(secret) > SECRET_CHARS_MAX:
                raise KeyInvalid
            key, now_us = _from_row(row), self._clock()
            if not same_hash(row["secret_hash"], wanted):
                before = row["previous_hash"] or ""
                until_us = key.previous_until_us or 0
                if not same_hash(before, wanted) or until_us <= now_us:
                    raise KeyInvalid
            if not _works(key, now_us):
                raise KeyInvalid
            return key

        return await self._database.read(work)

    async def page(self, tenant: str, after_id: str, rows_max: int) -> Sequence[Key]:
        """A tenant's keys with ids after `after_id`, by id."""

        def work(conn: Connection) -> Sequence[Key]:
            rows = conn.execute(
                select(_table)
                .where(_table.c.tenant == tenant, _table.c.key_id > after_id)
                .order_by(_table.c.key_id)
                .limit(rows_max)
            ).mappings()
            return [_from_row(row) for row in rows]

        return await self._database.read(work)

    async def disable(self, tenant: str, key_id: str) -> Key:
        """The key, which opens nothing from now on. Raises: KeyUnknown."""

        def work(conn: Connection) -> Key:
            here = (_table.c.tenant == tenant, _table.c.key_id == key_id)
            conn.execute(
                _table.update()
                .where(*here, _table.c.disable_us.is_(None))
                .values(disable_us=self._clock())
            )
            return _find(conn, tenant, key_id)

        return await self._database.write(work)

    async def change(self, tenant: str, key_id: str, change: KeyChange) -> Key:
        """The key with what is to be changed. Raises: KeyUnknown."""
        values: dict[str, Any] = {}
        if change.allowed_models is not None:
            values["allowed_models"] = list(change.allowed_models)
        if change.limits is not None:
            values |= _limits_row(change.limits)
        if change.tags is not None:
            values["tags"] = [list(tag) for tag in change.tags]
        if change.expires is not None:
            values["expire_us"] = change.expires[0]

        def work(conn: Connection) -> Key:
            found = _find(conn, tenant, key_id)
            here = (_table.c.tenant == tenant, _table.c.key_id == key_id)
            if values:
                conn.execute(_table.update().where(*here).values(values))
                found = _find(conn, tenant, key_id)
            return found

        return await self._database.write(work)

    async def rotate(self, tenant: str, key_id: str, grace_us: int) -> tuple[Key, str]:
        """The key and its new secret; the one before works for `grace_us` more.

        Raises: KeyUnknown; KeyInvalid when the key is disabled or has expired.
        """
        secret = new_secret(self._random_bytes)

        def work(conn: Connection) -> Key:
            now_us = self._clock()
            if not _works(_find(conn, tenant, key_id), now_us):
                raise KeyInvalid
            here = (_table.c.tenant == tenant, _table.c.key_id == key_id)
            conn.execute(
                _table.update()
                .where(*here)
                .values(
                    previous_hash=_table.c.secret_hash if grace_us else None,
                    previous_until_us=now_us + grace_us if grace_us else None,
                    secret_hash=secret_hash(self._pepper, secret),
                    hint=hint_of(secret),
                )
            )
            return _find(conn, tenant, key_id)

        return await self._database.write(work), secret

    def _create(self, conn: Connection, new: NewKey, secret: str) -> tuple[Key, str]:
        here = (_table.c.tenant == new.tenant, _table.c.key_id == new.key_id)
        known = conn.execute(select(_table).where(*here)).mappings().one_or_none()
        if known is not None:
            if known["create_hash"] != new.request_hash:
                raise IdReused(new.key_id)
            return _from_row(known), ""
        now_us = self._clock()
        conn.execute(
            _table.insert().values(
                tenant=new.tenant,
                key_id=new.key_id,
                project=new.project,
                user_id=new.user,
                feature=new.feature,
                role=int(new.role),
                secret_hash=secret_hash(self._pepper, secret),
                hint=hint_of(secret),
                create_us=now_us,
                expire_us=None if new.lifetime_us is None else now_us + new.lifetime_us,
                create_hash=new.request_hash,
                allowed_models=list(new.allowed_models),
                tags=[list(tag) for tag in new.tags],
                **_limits_row(new.limits),
            )
        )
        row = conn.execute(select(_table).where(*here)).mappings().one()
        return _from_row(row), secret


def _from_row(row: Mapping[Any, Any]) -> Key:
    return Key(
        tenant=row["tenant"],
        key_id=row["key_id"],
        project=row["project"],
        user=row["user_id"],
        feature=row["feature"],
        role=KeyRole(row["role"]),
        hint=row["hint"],
        create_us=row["create_us"],
        expire_us=row["expire_us"],
        disable_us=row["disable_us"],
        allowed_models=tuple(row["allowed_models"]),
        limits=Limits(
            row["requests_per_minute"], row["tokens_per_minute"], row["parallel_calls_max"]
        ),
        tags=tuple((name, value) for name, value in row["tags"]),
        previous_until_us=row["previous_until_us"],
    )


def _limits_row(limits: Limits) -> dict[str, int]:
    return {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "parallel_calls_max": limits.parallel_calls_max,
    }


def _works(key: Key, now_us: int) -> bool:
    expired = key.expire_us is not None and key.expire_us <= now_us
    return not expired and key.disable_us is None


def _find(conn: Connection, tenant: str, key_id: str) -> Key:
    here = (_table.c.tenant == tenant, _table.c.key_id == key_id)
    row = conn.execute(select(_table).where(*here)).mappings().one_or_none()
    if row is None:
        raise KeyUnknown(key_id)
    return _from_row(row)
