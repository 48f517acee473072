"""Batches put together: the office for the doors, the workers behind it."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from chassis.telemetry import Telemetry
from gateway.batches.calls import Calls
from gateway.batches.endpoint import Endpoint
from gateway.batches.files import Files
from gateway.batches.folders import Folders
from gateway.batches.gate import Gate
from gateway.batches.holds import ChunkHolds
from gateway.batches.items import Items
from gateway.batches.office import Office
from gateway.batches.planning import Planner
from gateway.batches.results import Results
from gateway.batches.rows import Rows
from gateway.batches.runner import Kit
from gateway.batches.servicer import BatchServicer
from gateway.batches.store import Jobs
from gateway.batches.workers import Workers
from gateway.providers.batch_port import BatchProvider
from gateway.saga.ask import edge_traceparent
from gateway.saga.complete import Parts


@dataclass(frozen=True)
class Batches:
    """The room's face: what doors ask, and who works."""

    office: Office
    workers: Workers
    servicer: BatchServicer


def make_batches(
    parts: Parts,
    providers: Mapping[str, BatchProvider],
    telemetry: Telemetry,
    others: Callable[[], int],
) -> Batches:
    """`providers`: those asked by their batch endpoint. `others`: ordinary requests under way."""
    settings, config = parts.settings, parts.fleet.config.batch
    folders = Folders(settings.batch_dir or settings.outbox_dir.parent / "batches")
    jobs = Jobs(folders)
    files = Files(folders, config, new_hex=lambda: uuid.uuid4().hex)
    workers = Workers(
        jobs,
        files,
        config,
        make_kit=lambda: make_kit(parts, files, providers, telemetry, others),
    )
    office = Office(
        jobs,
        files,
        config,
        telemetry=telemetry,
        new_hex=lambda: uuid.uuid4().hex,
        edge_traceparent=lambda told: edge_traceparent(
            told, settings.trace_ratio, settings.trust_incoming_traces
        ),
        wake=workers.wake,
    )
    return Batches(office, workers, BatchServicer(office))


def make_kit(
    parts: Parts,
    files: Files,
    providers: Mapping[str, BatchProvider],
    telemetry: Telemetry,
    others: Callable[[], int],
) -> Kit:
    """What jobs are worked on with."""

    def now() -> datetime:
        return datetime.now(UTC)

    config = parts.fleet.config.batch
    items = Items(parts.steps, parts.fleet, now=now)
    rows = Rows(parts.services, parts.books, parts.fleet, now=now)
    results = Results(items, rows, parts.cached)
    return Kit(
        files=files,
        planner=Planner(
            items,
            results,
            parts.steps,
            endpoints=providers,
            config=config,
            guarded=parts.fleet.config.privacy.guarded(),
        ),
        holds=ChunkHolds(parts.services, parts.books),
        calls=Calls(
            items,
            results,
            caller=parts.caller,
            limits=parts.limits,
            books=parts.books,
            gate=Gate(config, others),
            config=config,
        ),
        endpoint=Endpoint(items, results, providers=providers, config=config),
        results=results,
        rows=rows,
        book=parts.fleet.book,
        config=config,
        prompt_bytes_max=parts.settings.prompt_bytes_max,
        telemetry=telemetry,
    )
