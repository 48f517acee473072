"""The same prompt by several models, each a request of its own."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from spendgate.gateway.v1 import compare_pb2 as compare_pb
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.errors import ErrorTable, FieldViolation, InvalidFields

MODELS_MAX = 8
_KEY_CHARS = 64

# Answers one request, with the caller, trace and deadline of all of them.
Complete = Callable[[pb.CompleteRequest], Awaitable[pb.CompleteResponse]]


async def compare(
    request: compare_pb.CompareRequest, complete: Complete, errors: ErrorTable
) -> compare_pb.CompareResponse:
    """Asks all models at once; what fails stands in its model's result. Raises: InvalidFields."""
    _check(request)

    async def one(model: str) -> compare_pb.ComparedModel:
        try:
            response = await complete(_of_model(request, model))
        except Exception as error:
            return compare_pb.ComparedModel(model=model, error=errors.to_status(error))
        return compare_pb.ComparedModel(model=model, response=response)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(model)) for model in request.models]
    results = [task.result() for task in tasks]
    # Told again by an idempotency key, a request costs nothing now.
    cost = sum(
        each.response.summary.cost_nanos
        for each in results
        if not each.response.summary.idempotent_replay
    )
    return compare_pb.CompareResponse(results=results, cost_nanos=cost)


def _check(request: compare_pb.CompareRequest) -> None:
    if not 1 <= len(request.models) <= MODELS_MAX:
        raise InvalidFields(
            "REQUEST_INVALID", FieldViolation("models", f"takes 1 to {MODELS_MAX} models")
        )
    if len(set(request.models)) != len(request.models):
        raise InvalidFields("REQUEST_INVALID", FieldViolation("models", "names a model twice"))


def _of_model(request: compare_pb.CompareRequest, model: str) -> pb.CompleteRequest:
    options = pb.RequestOptions()
    options.CopyFrom(request.options)
    if options.idempotency_key:
        named = f"{options.idempotency_key}\0{model}".encode()
        options.idempotency_key = hashlib.sha256(named).hexdigest()[:_KEY_CHARS]
    return pb.CompleteRequest(model=model, prompt=request.prompt, options=options)
