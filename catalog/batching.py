"""Batch jobs, as an operator may bound them in the fleet file."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from catalog.shapes import Name, Section

Count = Annotated[int, Field(ge=1)]


class BatchWay(StrEnum):
    """How a provider is asked for what a batch needs."""

    ENDPOINT = "endpoint"
    CALLS = "calls"


class BatchConfig(Section):
    """Work that may wait: files of requests, answered within hours."""

    enabled: bool = True
    """Whether jobs are taken at all."""
    providers: dict[Name, BatchWay] = Field(default={}, max_length=256)
    """How each provider is asked: "endpoint", its own batch API at batch price, or "calls",
    ordinary calls at low priority. Default: endpoint at OpenAI itself, calls elsewhere."""
    calls_max: Annotated[int, Field(ge=1, le=256)] = 4
    """Ordinary calls of batches under way at once, over all jobs of a gateway."""
    yield_above_calls: Count = 16
    """No batch call is begun while this many ordinary requests are under way."""
    item_tries_max: Annotated[int, Field(ge=1, le=20)] = 4
    """Ordinary calls of an item, each with its own retries, before it fails."""
    poll_seconds: Annotated[int, Field(ge=1, le=3600)] = 20
    """Between two looks at a provider's batch."""
    items_max: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    """Lines of a file."""
    line_bytes_max: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 4 * 2**20
    """One line of a file."""
    file_bytes_max: Annotated[int, Field(ge=1024)] = 200 * 2**20
    """One file."""
    tenant_bytes_max: Annotated[int, Field(ge=1024)] = 2 * 2**30
    """All files of a tenant, results included."""
    tenant_jobs_max: Count = 32
    """Jobs of a tenant that have not ended."""
    jobs_max: Annotated[int, Field(ge=1, le=1_024)] = 8
    """Jobs that one gateway works on at once; others wait in line."""
    endpoint_items_max: Annotated[int, Field(ge=1, le=50_000)] = 10_000
    """Items of one batch at a provider: a larger job makes several."""
    endpoint_bytes_max: Annotated[int, Field(ge=1024)] = 100 * 2**20
    """The file of one batch at a provider."""
    completion_seconds_max: Annotated[int, Field(ge=1, le=7 * 86_400)] = 86_400
    """How long a job may take, and takes at most where nothing is asked for. What is not answered
    then expires."""
    batch_seconds_kept_max: Annotated[int, Field(ge=1)] = 30 * 86_400
    """How long files and ended jobs are kept."""
