"""Batch jobs as both doors see them: taken in, shown, cancelled, their results handed out."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from opentelemetry.trace import SpanKind
from spendgate.gateway.v1 import batch_pb2 as batch_pb
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from catalog.batching import BatchConfig
from chassis import names
from chassis.errors import FieldViolation, InvalidFields
from chassis.telemetry import Telemetry, traceparent_of
from gateway.batches.files import INPUT, Files
from gateway.batches.store import PREFIX, JobFolder, Jobs
from gateway.batches.words import ENDED, LimitReached, Spec, new_name
from gateway.door import Identity
from gateway.validate import options_violations

REASON = "REQUEST_INVALID"
METADATA_MAX = 16
REQUEST_ID_BYTES_MAX = 128
METADATA_NAME_BYTES_MAX = 64
METADATA_VALUE_BYTES_MAX = 512
PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX = 20, 100
LINES_A_RESPONSE, BYTES_A_RESPONSE = 256, 2**20
_TOKEN = re.compile(r"batch_[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants of a job. `completion_seconds` None: as long as it may take."""

    input_file_id: str
    options: gateway_pb.RequestOptions
    metadata: Mapping[str, str]
    completion_seconds: int | None = None
    # The caller's id of the submission: a repeat gets the first job. "" for none.
    request_id: str = ""


class Office:
    """Everything is by tenant: of another's jobs and files there is nothing to be found."""

    def __init__(
        self,
        jobs: Jobs,
        files: Files,
        config: BatchConfig,
        *,
        telemetry: Telemetry,
        new_hex: Callable[[], str],
        edge_traceparent: Callable[[str], str],
        wake: Callable[[], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`edge_traceparent` makes of a caller's trace the one to go on with. `wake` tells the
        workers that there is work."""
        self.files = files
        self._jobs = jobs
        self._config = config
        self._telemetry = telemetry
        self._new_hex = new_hex
        self._edge_traceparent = edge_traceparent
        self._wake = wake
        self._now = now
        # Two jobs taken in at once must not both be the last that is allowed.
        self._taking = asyncio.Lock()

    async def submit(self, wish: Wish, identity: Identity, traceparent: str) -> batch_pb.Batch:
        """A job, on disk when this returns. Raises: InvalidFields; NotFound for the file;
        LimitReached; OSError."""
        self._check(wish)
        facts = await asyncio.to_thread(self.files.facts, identity.tenant, wish.input_file_id)
        if facts.purpose != INPUT:
            raise _invalid("input_file_id", 'is no file of purpose "batch"')
        now = self._now()
        seconds = wish.completion_seconds or self._config.completion_seconds_max
        batch_id = new_name(PREFIX, now, self._new_hex())
        span = self._telemetry.start(
            "batch",
            self._edge_traceparent(traceparent),
            SpanKind.SERVER,
            {names.BATCH_ID: batch_id, names.TENANT: identity.tenant},
        )
        spec = Spec(
            batch_id=batch_id,
            identity=identity,
            input_file_id=wish.input_file_id,
            create_seconds=now,
            expire_seconds=now + seconds,
            options=wish.options,
            traceparent=traceparent_of(span),
            metadata=dict(wish.metadata),
            request_id=wish.request_id,
        )
        try:
            async with self._taking:
                if wish.request_id:
                    known = await asyncio.to_thread(
                        self._jobs.submitted_as, identity.tenant, wish.request_id
                    )
                    if known is not None:
                        return await asyncio.to_thread(known.state)
                allowed = self._config.tenant_jobs_max
                if await asyncio.to_thread(self._jobs.unfinished, identity.tenant) >= allowed:
                    raise LimitReached("tenant_jobs_max", allowed)
                source = self.files.path(identity.tenant, wish.input_file_id)
                made = await asyncio.to_thread(self._jobs.make, spec, source)
        finally:
            span.end()
        self._wake()
        return made

    async def get(self, identity: Identity, batch_id: str) -> batch_pb.Batch:
        """How a job stands. Raises: NotFound."""
        return await asyncio.to_thread(lambda: self._find(identity, batch_id).state())

    async def page(
        self, identity: Identity, after: str, count: int
    ) -> tuple[Sequence[batch_pb.Batch], bool]:
        """A tenant's jobs, newest first, those behind `after` ("": all), and whether there are
        more. Raises: InvalidFields."""
        if after and not _TOKEN.fullmatch(after):
            raise _invalid("page_token", "is none that was given")
        if not 0 <= count <= PAGE_SIZE_MAX:
            raise _invalid("page_size", f"is between 1 and {PAGE_SIZE_MAX}")
        count = count or PAGE_SIZE_DEFAULT

        def read() -> tuple[list[batch_pb.Batch], bool]:
            jobs = [
                job for job in self._jobs.of(identity.tenant) if not after or job.batch_id < after
            ]
            return [job.state() for job in jobs[:count]], len(jobs) > count

        return await asyncio.to_thread(read)

    async def cancel(self, identity: Identity, batch_id: str) -> batch_pb.Batch:
        """Asks for a job's end; one that has ended is left as it is. Raises: NotFound."""

        def ask() -> batch_pb.Batch:
            job = self._find(identity, batch_id)
            state = job.state()
            if state.state not in ENDED:
                job.cancel()
                state.state = batch_pb.BATCH_STATE_CANCELLING
            return state

        found = await asyncio.to_thread(ask)
        self._wake()
        return found

    async def results(self, identity: Identity, batch_id: str) -> AsyncIterator[list[bytes]]:
        """Whole lines of what came of a job, some at a time. Raises: NotFound."""
        state = await self.get(identity, batch_id)
        for file_id in filter(None, (state.output_file_id, state.error_file_id)):
            path = await asyncio.to_thread(self.files.path, identity.tenant, file_id)
            with path.open("rb") as file:
                while lines := await asyncio.to_thread(_some, file):
                    yield lines

    def _find(self, identity: Identity, batch_id: str) -> JobFolder:
        return self._jobs.find(identity.tenant, batch_id)

    def _check(self, wish: Wish) -> None:
        """Raises: InvalidFields with every violation."""
        found = list(options_violations(wish.options))
        if wish.options.context.summary_model:
            found.append(FieldViolation("options.context.summary_model", "is not for batches"))
        if not wish.input_file_id:
            found.append(FieldViolation("input_file_id", "is required"))
        most = self._config.completion_seconds_max
        if wish.completion_seconds is not None and not 1 <= wish.completion_seconds <= most:
            found.append(FieldViolation("completion", f"is between 1 s and {most} s"))
        if len(wish.request_id.encode()) > REQUEST_ID_BYTES_MAX:
            rule = f"takes at most {REQUEST_ID_BYTES_MAX} bytes"
            found.append(FieldViolation("request_id", rule))
        if len(wish.metadata) > METADATA_MAX:
            found.append(FieldViolation("metadata", f"takes at most {METADATA_MAX} labels"))
        for name, value in wish.metadata.items():
            if not 0 < len(name.encode()) <= METADATA_NAME_BYTES_MAX:
                rule = f"names have 1 to {METADATA_NAME_BYTES_MAX} bytes"
                found.append(FieldViolation("metadata", rule))
            if len(value.encode()) > METADATA_VALUE_BYTES_MAX:
                rule = f"values have at most {METADATA_VALUE_BYTES_MAX} bytes"
                found.append(FieldViolation("metadata", rule))
        if found:
            raise InvalidFields(REASON, *found)


def _invalid(field: str, rule: str) -> InvalidFields:
    return InvalidFields(REASON, FieldViolation(field, rule))


def _some(file: BinaryIO) -> list[bytes]:
    """The next lines of a file, few enough for one response."""
    found: list[bytes] = []
    size = 0
    while len(found) < LINES_A_RESPONSE and size < BYTES_A_RESPONSE:
        line = file.readline()
        if not line:
            break
        found.append(line.rstrip(b"\n"))
        size += len(line)
    return found
