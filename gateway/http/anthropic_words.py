"""How Anthropic's API tells errors."""

from collections.abc import Callable
from dataclasses import replace

from aiohttp import web
from google.rpc import status_pb2

from gateway.openai.errors import HttpError, error_of, plain_error

REQUEST_ID_HEADER = "request-id"
# Above what HTTP defines: Anthropic's own for "too much is under way".
OVERLOADED = 529
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}
_LIMIT_NAME = "max_tokens"
# OpenAI's names of options, where Anthropic's are others.
_PARAMS = {"stop": "stop_sequences", "response_format": "output_config", "user": "metadata"}


class AnthropicWords:
    """gateway.http.intake.ErrorWords."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        """`new_id` names answers that no request of the fleet stands behind."""
        self._new_id = new_id

    def plain(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> HttpError:
        """An error of the wire itself."""
        return self._told(plain_error(status, message, code=code, param=param))

    def of_status(self, status: status_pb2.Status, request: web.Request) -> HttpError:
        """A status of the fleet."""
        del request
        error = error_of(status, _LIMIT_NAME)
        if error.body.get("spendgate", {}).get("reason") == "OVERLOADED":
            error = replace(error, status=OVERLOADED)
        return self._told(error)

    def _told(self, error: HttpError) -> HttpError:
        inner = error.body["error"]
        kind = _TYPES.get(error.status)
        if kind is None:
            kind = "invalid_request_error" if error.status < 500 else "api_error"
        message = _named(inner["message"], inner.get("param"))
        request_id = f"req_{self._new_id()}"
        body = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": request_id,
        }
        if "spendgate" in error.body:
            body["spendgate"] = error.body["spendgate"]
        headers = {**error.headers, REQUEST_ID_HEADER: request_id}
        return HttpError(error.status, body, headers)


def _named(message: str, param: str | None) -> str:
    """The message with what is at fault before what is wrong with it, as Anthropic tells it."""
    if not param:
        return message
    # OpenAI keeps what says a function in an object of its own.
    path = _PARAMS.get(param, param).replace(".function.", ".")
    before, _, told = message.partition(": ")
    # A message of the fleet's own checks begins with the path in its own messages.
    return f"{path}: {told if told and ' ' not in before else message}"
