"""One job in the hands of its worker: its spec, its log, how far it is, its trace."""

import asyncio
import base64
import time
from collections.abc import Sequence
from typing import Any

from spendgate.gateway.v1 import batch_pb2 as batch_pb

from gateway.batches.lines import LineFile
from gateway.batches.log import Event, EventKind, JobLog
from gateway.batches.progress import Progress
from gateway.batches.store import JobFolder, moment
from gateway.batches.words import ERRORS_TOLD_MAX, Fault, Spec


class Job:
    """What has happened is in the log before anybody acts on it; readers are told after it."""

    def __init__(self, folder: JobFolder, spec: Spec, lines: LineFile) -> None:
        self.folder = folder
        self.spec = spec
        self.lines = lines
        self.progress = Progress()
        self.state = batch_pb.Batch()
        self.log = JobLog(folder.path / "log")
        self._telling = asyncio.Lock()

    @property
    def batch_id(self) -> str:
        """The job's id."""
        return self.spec.batch_id

    def open(self) -> None:
        """Takes in what has happened so far. Blocks. Raises: OSError."""
        self.state = self.folder.state()
        self.progress.replay(self.log.open())

    def left_seconds(self) -> float:
        """Until it must have ended."""
        return self.spec.expire_seconds - time.time()

    async def note(self, kind: EventKind, **told: Any) -> None:
        """One event, on disk when this returns."""
        await self.note_all([Event(kind, told)])

    async def note_all(self, events: Sequence[Event]) -> None:
        """Several, with one sync."""
        places = await self.log.append(*events)
        for event, place in zip(events, places, strict=True):
            self.progress.take(event, place)

    async def tell(self, state: batch_pb.BatchState | None = None) -> None:
        """Lets readers see how it stands."""
        if state is not None:
            self.state.state = state
        self._sum_up()
        await self._write_state()

    async def end(self, state: batch_pb.BatchState) -> None:
        """The job has ended so: first in the log, then for readers."""
        self.state.state = state
        self.state.end_time.CopyFrom(moment(time.time()))
        self._sum_up()
        told = base64.b64encode(self.state.SerializeToString()).decode()
        await self.note(EventKind.ENDED, state=told)
        await self._write_state()

    async def tell_end(self) -> None:
        """What end() was to tell when the process died."""
        self.state.ParseFromString(base64.b64decode(self.progress.ended))
        await self._write_state()

    def _sum_up(self) -> None:
        self.state.progress.CopyFrom(self.progress.counts)
        self.state.money.CopyFrom(self.progress.money)
        held = (chunk.held_nanos for chunk in self.progress.chunks.values() if not chunk.done)
        self.state.money.held_nanos = sum(held)

    async def _write_state(self) -> None:
        async with self._telling:
            await asyncio.to_thread(self.folder.write_state, self.state)

    async def fail(self, faults: Sequence[Fault], count: int = 0) -> None:
        """Ends it before anything is spent. `count`: faults in all, where more than told."""
        for fault in faults[:ERRORS_TOLD_MAX]:
            self.state.errors.add(
                line=fault.line, code=fault.code, message=fault.message, param=fault.param
            )
        self.state.error_count = count or len(faults)
        await self.end(batch_pb.BATCH_STATE_FAILED)
