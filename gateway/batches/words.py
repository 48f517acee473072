"""What a job is to the room: its states, its spec, its faults, and the names of its items."""

import base64
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import orjson
from spendgate.gateway.v1 import batch_pb2 as batch_pb
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from gateway.door import Identity
from gateway.limits.rules import Rates

ENDPOINT = "/v1/chat/completions"
ERRORS_TOLD_MAX = 100
ENDED = frozenset(
    {
        batch_pb.BATCH_STATE_FAILED,
        batch_pb.BATCH_STATE_COMPLETED,
        batch_pb.BATCH_STATE_EXPIRED,
        batch_pb.BATCH_STATE_CANCELLED,
    }
)
_ID = re.compile(r"(batch_|file-)[0-9a-f]{32}", re.ASCII)
# The same item, hold or row gets the same id however often it is tried: that is what makes an
# item be booked once.
_NAMES = uuid.UUID("2f1c9a52-7d0f-4a63-9d42-5b6a0f7f3c11")


class NotFound(Exception):
    """The tenant has no such job or file. `what`: "batch" or "file"."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class LimitReached(Exception):
    """A limit of the tenant's batches. `limit` is its name in the fleet file."""

    def __init__(self, limit: str, allowed: int) -> None:
        super().__init__(f"{limit}: {allowed}")
        self.limit = limit
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong, on a line (from 1; 0: the whole). Quotes nothing of what was sent."""

    line: int
    code: str
    message: str
    param: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """A job as it was taken in; never changed. Times are seconds since 1970."""

    batch_id: str
    identity: Identity
    input_file_id: str
    create_seconds: float
    expire_seconds: float
    options: gateway_pb.RequestOptions
    # The root of the job's trace, "" for none.
    traceparent: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    # The caller's id of the submission, "" for none.
    request_id: str = ""

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self.identity.tenant

    def to_json(self) -> bytes:
        """As it lies on disk."""
        told = {
            name: getattr(self, name)
            for name in (
                "batch_id", "input_file_id", "create_seconds", "expire_seconds", "traceparent",
                "request_id",
            )
        }  # fmt: skip
        told["identity"] = asdict(self.identity)
        told["options"] = base64.b64encode(self.options.SerializeToString()).decode()
        told["metadata"] = dict(self.metadata)
        return orjson.dumps(told)

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """What to_json() wrote."""
        told: dict[str, Any] = orjson.loads(content)
        options = base64.b64decode(told.pop("options"))
        who: dict[str, Any] = told.pop("identity")
        who["allowed_models"] = tuple(who.get("allowed_models", ()))
        who["limits"] = Rates(**who["limits"])
        who["tags"] = tuple(tuple(pair) for pair in who.get("tags", ()))
        return cls(
            identity=Identity(**who),
            options=gateway_pb.RequestOptions.FromString(options),
            **told,
        )


def new_name(prefix: str, seconds: float, random_hex: str) -> str:
    """An id that sorts by the time it was made."""
    return f"{prefix}{int(seconds * 1000):012x}{random_hex[:20]}"


def is_name(text: str, prefix: str) -> bool:
    """Whether it can be an id made here. Nothing else ever becomes part of a path."""
    return text.startswith(prefix) and _ID.fullmatch(text) is not None


def fixed_id(batch_id: str, *what: object) -> str:
    """The UUID of something of a job, always the same."""
    return str(uuid.uuid5(_NAMES, "/".join(map(str, (batch_id, *what)))))


def request_id_of(batch_id: str, line: int) -> str:
    """The request id that a line has in the books."""
    return f"{batch_id}-{line}"
