"""Requests as the console shows them: rows of the books, found by what they say."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from chassis.errors import FieldViolation, InvalidFields
from gateway.console.forwards import LEDGER, Forward, Forwarder, as_dict
from gateway.door import Identity

# The books are read newest first and have no index on what is looked for here: a look ends after
# so many rows, and says where to go on.
PAGE_SIZE = 500
ROWS_A_LOOK_MAX = 5_000
FOUND_ENOUGH = 100
FILTERS_MAX = 8
TEXT_BYTES_MAX = 256

_LIST = Forward(LEDGER, "ListEntries", ledger_pb.ListEntriesRequest)
_TAG = "tag:"

_ATTRIBUTION = ("feature", "user", "project", "key_id", "session")
_ATTEMPT = {"model": "model_used", "provider": "provider"}
_ENUMS: Mapping[str, Callable[[entry_pb2.Attempt], str]] = {
    "kind": lambda attempt: entry_pb2.EntryKind.Name(attempt.kind),
    "outcome": lambda attempt: entry_pb2.AttemptOutcome.Name(attempt.outcome),
}
_REQUEST_ID = re.compile(r"[\w.:-]{1,128}")


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: rows that equal all of `only`, booked within the times."""

    only: Mapping[str, str]
    start: datetime | None = None
    end: datetime | None = None
    page_token: str = ""


def read_search(body: Any) -> Search:
    """The search in a JSON body. Raises: InvalidFields."""
    if not isinstance(body, dict):
        raise _invalid("body", "is no search in JSON")
    only = body.get("only", {})
    if not isinstance(only, dict) or len(only) > FILTERS_MAX:
        raise _invalid("only", f"must be at most {FILTERS_MAX} names with texts")
    for name, value in only.items():
        known = name in (*_ATTRIBUTION, *_ATTEMPT, *_ENUMS) or name.startswith(_TAG)
        if not known:
            raise _invalid("only", "names what rows do not have")
        if not isinstance(value, str) or len(value.encode()) > TEXT_BYTES_MAX:
            raise _invalid("only", f"takes texts of at most {TEXT_BYTES_MAX} bytes")
    token = body.get("page_token", "")
    if not isinstance(token, str):
        raise _invalid("page_token", "must be a text")
    return Search(only, _moment(body, "start_time"), _moment(body, "end_time"), token)


async def search(forwarder: Forwarder, wanted: Search, caller: Identity) -> dict[str, Any]:
    """Rows, newest first, with how many were looked at and where to go on ("" at the end)."""
    found: list[dict[str, Any]] = []
    token, seen, over = wanted.page_token, 0, False
    while seen < ROWS_A_LOOK_MAX and len(found) < FOUND_ENOUGH and not over:
        request = ledger_pb.ListEntriesRequest(
            tenant=caller.tenant, page_size=PAGE_SIZE, page_token=token
        )
        response = await forwarder.ask(_LIST, request)
        fitting, over = await asyncio.to_thread(_fitting, response.entries, wanted)
        found += fitting
        seen += len(response.entries)
        token = response.next_page_token
        if not token:
            over = True
    return {"entries": found, "seen_count": seen, "next_page_token": "" if over else token}


async def one(forwarder: Forwarder, request_id: str, caller: Identity) -> list[entry_pb2.Entry]:
    """All rows of a request of the caller's tenant, oldest first; none for an unknown one."""
    if not _REQUEST_ID.fullmatch(request_id):
        return []
    request = ledger_pb.ListEntriesRequest(
        tenant=caller.tenant, request_id=request_id, page_size=PAGE_SIZE
    )
    response = await forwarder.ask(_LIST, request)
    return list(reversed(response.entries))


def trace_id_of(entries: Sequence[entry_pb2.Entry]) -> str:
    """The trace of a request's rows, "" when none was made."""
    return next((entry.attempt.trace_id for entry in entries if entry.attempt.trace_id), "")


def _fitting(
    entries: Sequence[entry_pb2.Entry], wanted: Search
) -> tuple[list[dict[str, Any]], bool]:
    """Those that fit as JSON, and whether the rest are all too old."""
    start, end = _stamp(wanted.start), _stamp(wanted.end)
    found: list[dict[str, Any]] = []
    for entry in entries:
        booked = entry.book_time.ToNanoseconds()
        if start is not None and booked < start:
            return found, True
        if (end is None or booked < end) and _fits(entry, wanted.only):
            found.append(as_dict(entry))
    return found, False


def _fits(entry: entry_pb2.Entry, only: Mapping[str, str]) -> bool:
    return all(_value(entry, name) == value for name, value in only.items())


def _value(entry: entry_pb2.Entry, name: str) -> str:
    if name.startswith(_TAG):
        return entry.attribution.tags.get(name.removeprefix(_TAG), "")
    if name in _ENUMS:
        return _ENUMS[name](entry.attempt)
    if name in _ATTEMPT:
        return str(getattr(entry.attempt, _ATTEMPT[name]))
    return str(getattr(entry.attribution, name))


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    value = body.get(name)
    if value in (None, ""):
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise _invalid(name, "must be a time such as 2026-11-01T00:00:00Z") from None
    if found.tzinfo is None:
        raise _invalid(name, "must say its offset from UTC")
    return found


def _stamp(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp.ToNanoseconds()


def _invalid(field: str, description: str) -> InvalidFields:
    return InvalidFields("REQUEST_INVALID", FieldViolation(field, description))
