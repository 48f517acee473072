"""Rows in the order they were booked, piece by piece, from a cursor on."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from services.ledger.reading.columns import rows_between
from services.ledger.rules.values import Entry
from services.ledger.sql import schema
from services.ledger.sql.database import Database
from services.ledger.sql.rows import from_entry_row

PIECE_ROWS_MAX = 500


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows after a place, the place to go on from, and how many there were still to come."""

    entries: Sequence[Entry]
    last_no: int
    left_count: int


class ExportStore:
    """Rows for exports. Every method raises BooksUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def piece(self, tenant: str, start_us: int, end_us: int, after_no: int) -> Piece:
        """The next rows; none at the end. Each piece is read by itself: an export that lasts for
        hours keeps no transaction open."""

        def work(conn: Connection) -> Piece:
            entry = schema.entry
            here = [
                *rows_between(conn, tenant, start_us, end_us),
                entry.c.entry_no > after_no,
            ]
            rows = (
                conn.execute(
                    select(entry).where(*here).order_by(entry.c.entry_no).limit(PIECE_ROWS_MAX)
                )
                .mappings()
                .all()
            )
            left = len(rows)
            if len(rows) == PIECE_ROWS_MAX:
                most = conn.execute(select(func.max(entry.c.entry_no)).where(*here)).scalar() or 0
                left = int(most) - after_no
            last_no = rows[-1]["entry_no"] if rows else after_no
            return Piece([from_entry_row(row) for row in rows], last_no, left)

        return await self._database.read(work)
