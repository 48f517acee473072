"""Virtual keys: made, found by their secret, listed, disabled."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from services.ledger.rules.configuring import Key, NewKey
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
                conn.execute(select(_table).where(_table.c.secret_hash == wanted))
                .mappings()
                .one_or_none()
            )
            if row is None or not same_hash(row["secret_hash"], wanted):
                raise KeyInvalid
            key = _from_row(row)
            expired = key.expire_us is not None and key.expire_us <= self._clock()
            if expired or key.disable_us is not None or len(secret) > SECRET_CHARS_MAX:
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
            row = conn.execute(select(_table).where(*here)).mappings().one_or_none()
            if row is None:
                raise KeyUnknown(key_id)
            return _from_row(row)

        return await self._database.write(work)

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
    )
