"""How OpenAI's API tells errors."""

from aiohttp import web
from google.rpc import status_pb2

from gateway.openai.errors import LIMIT_PARAM, HttpError, error_of, plain_error

# The option by which the caller limited output tokens: there are two.
LIMIT_NAME = web.RequestKey("limit_name", str)


class OpenAIWords:
    """gateway.http.intake.ErrorWords."""

    def plain(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> HttpError:
        """An error of the wire itself."""
        return plain_error(status, message, code=code, param=param)

    def of_status(self, status: status_pb2.Status, request: web.Request) -> HttpError:
        """A status of the fleet."""
        return error_of(status, request.get(LIMIT_NAME, LIMIT_PARAM))


class ResponsesWords(OpenAIWords):
    """The same, for a protocol that has its prompt in `input`."""

    def of_status(self, status: status_pb2.Status, request: web.Request) -> HttpError:
        """A status of the fleet."""
        told = super().of_status(status, request)
        error = told.body["error"]
        param = error["param"] or ""
        if param.startswith("messages"):
            # Places are counted otherwise there: several items make one message.
            error["param"] = "input"
        elif param.startswith("tools["):
            error["param"] = param.replace(".function.", ".")
        return told
