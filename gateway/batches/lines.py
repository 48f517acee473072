"""The lines of a job's file: found, read, checked."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from catalog.prices import PriceBook, UnknownModel
from catalog.schema import AUTO
from chassis.errors import InvalidFields
from gateway.batches.words import ENDPOINT, Fault
from gateway.door import Identity
from gateway.openai.errors import param_of
from gateway.openai.parse import parse_chat
from gateway.openai.read import NotJson
from gateway.validate import check_request

CUSTOM_ID_BYTES_MAX = 512


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may be answered. `number` counts from 1."""

    number: int
    custom_id: str
    request: gateway_pb.CompleteRequest


class BadLine(Exception):
    """A line that cannot be answered."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class LineFile:
    """A file's lines, to be read in any order. Everything here blocks shortly."""

    def __init__(self, path: Path, line_bytes_max: int) -> None:
        self._path = path
        self._line_bytes_max = line_bytes_max
        # Where each line begins; the last is the end of the file.
        self._starts = array("q", [0])

    def index(self, lines_max: int) -> None:
        """Finds the lines, at most one more than `lines_max`. Raises: OSError."""
        del self._starts[1:]
        with self._path.open("rb") as file:
            at = 0
            while piece := file.readline(self._line_bytes_max + 2):
                at += len(piece)
                while piece and not piece.endswith(b"\n"):
                    piece = file.readline(self._line_bytes_max)
                    at += len(piece)
                self._starts.append(at)
                if len(self._starts) - 1 > lines_max:
                    return

    def __len__(self) -> int:
        return len(self._starts) - 1

    def raw(self, number: int) -> bytes:
        """A line, from 1. Raises: BadLine when it is over the limit; OSError."""
        start, end = self._starts[number - 1], self._starts[number]
        if end - start > self._line_bytes_max + 1:
            message = f"has more than {self._line_bytes_max} bytes"
            raise BadLine(Fault(number, "line_too_large", message))
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def read(self, number: int, options: gateway_pb.RequestOptions) -> Line:
        """A line as a request, `options` under its own. Raises: BadLine; OSError."""
        return read_line(number, self.raw(number), options)


@dataclass(frozen=True, slots=True)
class LineRules:
    """What lines are held against."""

    book: PriceBook
    prompt_bytes_max: int
    identity: Identity
    options: gateway_pb.RequestOptions


def faults(file: LineFile, numbers: Iterator[int], rules: LineRules, seen: set[str]) -> list[Fault]:
    """What is wrong with lines. `seen` holds the custom_ids so far and gets these. Blocks."""
    found = []
    for number in numbers:
        try:
            line = file.read(number, rules.options)
            if line.custom_id in seen:
                message = "is the custom_id of an earlier line"
                raise BadLine(Fault(number, "duplicate_custom_id", message, "custom_id"))
            seen.add(line.custom_id)
            _check(line, rules)
        except BadLine as error:
            found.append(error.fault)
    return found


def read_line(number: int, content: bytes, options: gateway_pb.RequestOptions) -> Line:
    """A line as a request. Raises: BadLine."""

    def bad(code: str, message: str, param: str = "") -> BadLine:
        return BadLine(Fault(number, code, message, param))

    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise bad("bad_json", "is no JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise bad("bad_line", "must be an object")
    custom_id = value.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id.encode()) <= CUSTOM_ID_BYTES_MAX:
        message = f"must be a text of 1 to {CUSTOM_ID_BYTES_MAX} bytes"
        raise bad("bad_custom_id", message, "custom_id")
    if value.get("method") != "POST":
        raise bad("bad_method", 'must be "POST"', "method")
    if value.get("url") != ENDPOINT:
        raise bad("bad_url", f'must be "{ENDPOINT}"', "url")
    if unknown := value.keys() - {"custom_id", "method", "url", "body"}:
        raise bad("bad_line", f"has {len(unknown)} fields that are not known here")
    try:
        chat = parse_chat(orjson.dumps(value.get("body")))
    except NotJson:
        raise bad("bad_json", "is no JSON that can be sent on", "body") from None
    except InvalidFields as error:
        first = error.violations[0]
        raise bad("invalid_request", first.description, f"body.{first.field}") from None
    if chat.stream:
        raise bad("invalid_request", "is not for batches", "body.stream")
    merged = gateway_pb.RequestOptions()
    merged.CopyFrom(options)
    merged.MergeFrom(chat.options)
    request = gateway_pb.CompleteRequest(model=chat.model, prompt=chat.prompt, options=merged)
    return Line(number, custom_id, request)


def _check(line: Line, rules: LineRules) -> None:
    """What a request at the door is held against. Raises: BadLine."""
    try:
        check_request(line.request, rules.prompt_bytes_max)
    except InvalidFields as error:
        first = error.violations[0]
        param = f"body.{param_of(first.field)}"
        raise BadLine(Fault(line.number, "invalid_request", first.description, param)) from None
    asked = line.request.model
    if asked.partition(":")[0] == AUTO:
        return
    try:
        name = rules.book.name_of(asked)
    except UnknownModel:
        message = "no model of this name is configured"
        raise BadLine(Fault(line.number, "model_not_found", message, "body.model")) from None
    if not rules.identity.may_call(name):
        message = "this key may not call the model"
        raise BadLine(Fault(line.number, "model_not_allowed", message, "body.model"))
