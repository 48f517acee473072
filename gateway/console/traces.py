"""The steps of a request, read back from where the fleet's spans went."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
from pydantic import SecretStr

from chassis import names
from chassis.auth import BEARER

TRACE_SECONDS_MAX = 15.0
TRACE_BYTES_MAX = 8 * 2**20
SPANS_MAX = 1_000

OWN, JAEGER = "spendgate", "jaeger"
_log = logging.getLogger("gateway.console")

Value = str | int | float | bool


class TracesAway(Exception):
    """Where spans are kept did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Step:
    """A span. Times are nanoseconds since 1970 as text: they are beyond a browser's numbers."""

    span_id: str
    parent_id: str
    name: str
    service: str
    start_ns: str
    end_ns: str
    failed: bool = False
    attributes: Mapping[str, Value] = field(default_factory=dict)


class Traces:
    """Reads traces over HTTP: from the embedded fleet's own store, or from Jaeger's query API."""

    def __init__(
        self, url: str, form: str, token: SecretStr | None, session: aiohttp.ClientSession
    ) -> None:
        """`form` is OWN or JAEGER; `token` is shown to the fleet's own store only."""
        self._url = url.rstrip("/")
        self._form = form
        self._token = token if form == OWN else None
        self._session = session

    async def steps(self, trace_id: str, tenant: str) -> list[dict[str, Any]]:
        """The trace's spans; none when it is not kept, or is not the tenant's. Raises: TracesAway.

        Every request of ours has one root with the tenant; a trace that a caller brought along
        may hold other tenants' requests too, so only what hangs below the tenant's own is shown.
        """
        path = "/traces/" if self._form == OWN else "/api/traces/"
        body = await self._get(f"{self._url}{path}{trace_id}")
        if body is None:
            return []
        try:
            read = _own if self._form == OWN else _jaeger
            found = read(body)[:SPANS_MAX]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise TracesAway from None
        return [asdict(step) for step in _of_tenant(found, tenant)]

    async def _get(self, url: str) -> Any:
        headers = {}
        if self._token is not None:
            headers["Authorization"] = BEARER + self._token.get_secret_value()
        try:
            async with (
                asyncio.timeout(TRACE_SECONDS_MAX),
                self._session.get(url, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status == 404:
                    return None
                if answer.status != 200 or (answer.content_length or 0) > TRACE_BYTES_MAX:
                    _log.warning("traces not read", extra={"http_status": answer.status})
                    raise TracesAway
                return await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            _log.warning("traces not read", extra={"error_type": type(error).__name__})
            raise TracesAway from None


def _of_tenant(steps: list[Step], tenant: str) -> list[Step]:
    """What belongs to the tenant's requests."""
    parents = {step.span_id: step.parent_id for step in steps}
    told = {
        step.span_id: str(step.attributes[names.TENANT])
        for step in steps
        if names.TENANT in step.attributes
    }

    def owner(span_id: str) -> str:
        for _ in range(len(steps)):
            if span_id in told:
                return told[span_id]
            if span_id not in parents:
                break
            span_id = parents[span_id]
        return ""

    return [step for step in steps if owner(step.span_id) == tenant]


def _own(body: Any) -> list[Step]:
    return [
        Step(
            span_id=str(span["span_id"]),
            parent_id=str(span["parent_id"]),
            name=str(span["name"]),
            service=str(span["service"]),
            start_ns=str(int(span["start_ns"])),
            end_ns=str(int(span["end_ns"])),
            failed=bool(span["failed"]),
            attributes=dict(span["attributes"]),
        )
        for span in body["spans"]
    ]


def _jaeger(body: Any) -> list[Step]:
    if not body["data"]:
        return []
    trace = body["data"][0]
    services = {name: process["serviceName"] for name, process in trace["processes"].items()}
    found = []
    for span in trace["spans"]:
        tags = {tag["key"]: tag["value"] for tag in span.get("tags", [])}
        start_us, took_us = int(span["startTime"]), int(span["duration"])
        parents = [
            each["spanID"] for each in span.get("references", []) if each["refType"] == "CHILD_OF"
        ]
        found.append(
            Step(
                span_id=str(span["spanID"]),
                parent_id=str(parents[0]) if parents else "",
                name=str(span["operationName"]),
                service=str(services.get(span["processID"], "")),
                start_ns=str(start_us * 1000),
                end_ns=str((start_us + took_us) * 1000),
                failed=bool(tags.pop("error", False)),
                attributes=tags,
            )
        )
    return found
