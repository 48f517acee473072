"""spendgate.gateway.v1.BatchService: proto in, the office, proto out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from spendgate.gateway.v1 import batch_pb2 as pb
from spendgate.gateway.v1 import batch_pb2_grpc as pb_grpc

from chassis.calls import current_call
from chassis.errors import FieldViolation, InvalidFields
from gateway.batches.office import Office, Wish
from gateway.door import Identity
from gateway.errors import KeyInvalid

SERVICE_NAME = "spendgate.gateway.v1.BatchService"
OWN_SPAN_METHODS = frozenset({f"/{SERVICE_NAME}/SubmitBatch"})
PIECE_BYTES_MAX = 2**20
UPLOAD_NAME = "lines.jsonl"


class BatchServicer(pb_grpc.BatchServiceServicer):
    """spendgate.gateway.v1.BatchService."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def SubmitBatch(
        self, requests: AsyncIterator[pb.SubmitBatchRequest], _: Any
    ) -> pb.SubmitBatchResponse:
        """Takes a job in."""
        call = current_call()
        identity = _identity(call.caller)
        first = await anext(requests, None)
        if first is None or first.WhichOneof("part") != "spec":
            raise _invalid("spec", "comes first")
        spec = first.spec
        file_id = spec.input_file_id
        if file_id:
            if await anext(requests, None) is not None:
                raise _invalid("lines", "come without input_file_id")
        else:
            pieces = _pieces(requests)
            taken = await self._office.files.take(identity.tenant, UPLOAD_NAME, pieces)
            file_id = taken.file_id
        seconds = None
        if spec.HasField("completion"):
            seconds = spec.completion.seconds + (spec.completion.nanos > 0)
        wish = Wish(file_id, spec.options, spec.metadata, seconds, spec.request_id)
        try:
            made = await self._office.submit(wish, identity, call.traceparent)
        finally:
            # The job has its lines; nobody has asked for a file of them.
            if not spec.input_file_id:
                await asyncio.to_thread(self._office.files.delete, identity.tenant, file_id)
        return pb.SubmitBatchResponse(batch=made)

    async def GetBatch(self, request: pb.GetBatchRequest, _: Any) -> pb.GetBatchResponse:
        """How a job stands."""
        found = await self._office.get(_caller(), request.batch_id)
        return pb.GetBatchResponse(batch=found)

    async def ListBatches(self, request: pb.ListBatchesRequest, _: Any) -> pb.ListBatchesResponse:
        """A tenant's jobs."""
        found, more = await self._office.page(_caller(), request.page_token, request.page_size)
        token = found[-1].batch_id if more else ""
        return pb.ListBatchesResponse(batches=found, next_page_token=token)

    async def CancelBatch(self, request: pb.CancelBatchRequest, _: Any) -> pb.CancelBatchResponse:
        """Ends a job early."""
        found = await self._office.cancel(_caller(), request.batch_id)
        return pb.CancelBatchResponse(batch=found)

    async def BatchResults(
        self, request: pb.BatchResultsRequest, _: Any
    ) -> AsyncIterator[pb.BatchResultsResponse]:
        """The results of a job that has ended."""
        async for lines in self._office.results(_caller(), request.batch_id):
            yield pb.BatchResultsResponse(lines=lines)


async def _pieces(requests: AsyncIterator[pb.SubmitBatchRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "lines":
            raise _invalid("lines", "follow the spec, and nothing else")
        if len(request.lines) > PIECE_BYTES_MAX:
            raise _invalid("lines", f"come in pieces of at most {PIECE_BYTES_MAX} bytes")
        yield request.lines


def _caller() -> Identity:
    return _identity(current_call().caller)


def _identity(caller: object) -> Identity:
    if not isinstance(caller, Identity):
        raise KeyInvalid
    return caller


def _invalid(field: str, rule: str) -> InvalidFields:
    return InvalidFields("REQUEST_INVALID", FieldViolation(field, rule))
