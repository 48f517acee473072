"""A job's results as files: what was answered, and what failed, each in the order of the input."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.batches.files import OUTPUT, PREFIX, FileFacts, Files
from gateway.batches.job import Job
from gateway.batches.progress import FAILED
from gateway.batches.words import fixed_id, new_name, request_id_of
from gateway.openai.wire import usd


async def write_results(job: Job, files: Files) -> None:
    """Makes the files and names them in the job's state. Writing them again makes the same."""
    await asyncio.to_thread(_write, job, files)


def _write(job: Job, files: Files) -> None:
    failed = job.progress.failed
    answered = sorted(line for line in job.progress.answered if line not in failed)
    if answered:
        job.state.output_file_id = _file(job, files, "output", answered)
    if failed:
        job.state.error_file_id = _file(job, files, "errors", sorted(failed))


def _file(job: Job, files: Files, what: str, lines: list[int]) -> str:
    digest = hashlib.sha256(f"{job.batch_id}/{what}".encode()).hexdigest()
    file_id = new_name(PREFIX, job.spec.create_seconds, digest)
    begun = job.folder.path / f"{what}.part"
    with begun.open("wb") as file:
        for line in lines:
            told = job.log.read(job.progress.answered[line])
            file.write(orjson.dumps(_told(job, told)) + b"\n")
    facts = FileFacts(
        file_id,
        f"{job.batch_id}_{what}.jsonl",
        OUTPUT,
        begun.stat().st_size,
        int(job.spec.create_seconds),
    )
    files.keep(job.spec.tenant, facts, begun)
    return file_id


def _told(job: Job, told: Mapping[str, Any]) -> dict[str, Any]:
    """A line as OpenAI's files have it."""
    line = told["line"]
    response = None
    if told["body"] is not None:
        body = dict(told["body"])
        if told["how"] != FAILED:
            body["created"] = int(job.spec.create_seconds)
        body["spendgate"] = _money(job, told)
        request_id = request_id_of(job.batch_id, line)
        response = {"status_code": told["status"], "request_id": request_id, "body": body}
    return {
        "id": "batch_req_" + fixed_id(job.batch_id, line, "line").replace("-", ""),
        "custom_id": told["custom_id"],
        "response": response,
        "error": told["error"],
    }


def _money(job: Job, told: Mapping[str, Any]) -> dict[str, Any]:
    booked = job.progress.booked.get(told["line"], {})
    cost = booked.get("cost_nanos", 0)
    saved = sum(value for name, value in booked.items() if name.startswith("saved_"))
    before = told["body"].get("spendgate") or {}
    return {
        **before,
        "request_id": request_id_of(job.batch_id, told["line"]),
        "from": told["how"],
        "cost_usd": usd(cost),
        "cost_nanos": cost,
        "saved_nanos": saved,
        "booking_parked": bool(booked.get("parked", 0)),
    }
