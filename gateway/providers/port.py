"""The port to a provider: what the gateway asks of one and what comes back.

Errors carry fixed words and numbers only, never text of the provider: it may quote the prompt
or the key.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.deadline import Deadline


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """One try to get an answer. `model` is the provider's own name of the model."""

    model: str
    prompt: chat_pb2.Prompt
    # Most tokens to ask for, reasoning included. At least 1; the prompt's own limit is not read.
    output_tokens_max: int
    # Whose call it is: what providers cache is kept apart by it. Never sent as it is.
    partition: str = ""


class ToldTokens(NamedTuple):
    """Tokens read and written in all, as a provider told them; its buckets add up to them."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """A whole answer."""

    choices: Sequence[chat_pb2.Choice]
    # None: the provider told none, or numbers that cannot be; then count.
    usage: chat_pb2.TokenUsage | None
    # True when usage is None because the numbers cannot be.
    usage_impossible: bool
    # What the provider says it was: may be a dated name of the model. "" when it says nothing.
    response_model: str
    response_id: str
    # The provider's class of service, for prices that hang on it. "" when it says nothing.
    service_tier: str
    # None when it told no totals.
    told: ToldTokens | None = None
    # What of the call was left out, for the caller (options.py). Names options, quotes nothing.
    warnings: tuple[str, ...] = ()

    def warned(self, warnings: tuple[str, ...]) -> "ProviderAnswer":
        """The same answer with these warnings beside its own."""
        return replace(self, warnings=(*self.warnings, *warnings)) if warnings else self


@dataclass(frozen=True, slots=True)
class ProviderDelta:
    """A piece of an answer under way."""

    delta: gateway_pb2.Delta


@dataclass(frozen=True, slots=True)
class ProviderEnd:
    """The end of a stream; the fields are those of ProviderAnswer."""

    usage: chat_pb2.TokenUsage | None
    usage_impossible: bool
    response_model: str
    response_id: str
    service_tier: str
    told: ToldTokens | None = None
    warnings: tuple[str, ...] = ()

    def warned(self, warnings: tuple[str, ...]) -> "ProviderEnd":
        """The same end with these warnings beside its own."""
        return replace(self, warnings=(*self.warnings, *warnings)) if warnings else self


class Billed(StrEnum):
    """Whether the provider charges for a failed call."""

    NO = "NO"
    # The work may have been done, and then it costs.
    UNKNOWN = "UNKNOWN"


class Unavailability(StrEnum):
    """Why a provider gave no answer, through no fault of the caller's."""

    # Too many requests or tokens a minute: later is better.
    RATE_LIMITED = "RATE_LIMITED"
    # The operator's account there has no money left.
    QUOTA_USED_UP = "QUOTA_USED_UP"
    # The operator's key is not let in.
    CREDENTIALS = "CREDENTIALS"
    # The provider does not know the model or the address.
    NOT_FOUND = "NOT_FOUND"
    # No connection was made: nothing was sent.
    CONNECT = "CONNECT"
    # The time was up, or the line was silent for too long.
    TIMEOUT = "TIMEOUT"
    # The connection broke before the answer was whole.
    RESET = "RESET"
    # It said that it failed.
    SERVER_ERROR = "SERVER_ERROR"
    # It sent what is no answer.
    BAD_ANSWER = "BAD_ANSWER"
    # It sent more than any answer may have.
    ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"
    # It wants to be called elsewhere. It is not: the operator names addresses.
    REDIRECT = "REDIRECT"


class Refusal(StrEnum):
    """Why a provider would not take the request as it is."""

    REQUEST_INVALID = "REQUEST_INVALID"
    # Prompt and answer do not fit the model's context window.
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    # Its rules on content forbid it.
    CONTENT_REFUSED = "CONTENT_REFUSED"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    # It lacks an option that was set (`param` names it); nothing was sent.
    OPTION_UNSUPPORTED = "OPTION_UNSUPPORTED"


class ProviderError(Exception):
    """A call failed. `provider` is the configured name."""

    def __init__(self, provider: str, reason: str, http_status: int, billed: Billed) -> None:
        super().__init__(f"{provider}: {reason} (HTTP status {http_status})")
        self.provider = provider
        self.reason = reason
        # 0 when there was no HTTP answer.
        self.http_status = http_status
        self.billed = billed


class ProviderRefused(ProviderError):
    """The request is at fault: the same call would fail again, here or elsewhere."""

    def __init__(
        self,
        provider: str,
        *,
        http_status: int,
        reason: Refusal = Refusal.REQUEST_INVALID,
        param: str = "",
    ) -> None:
        super().__init__(provider, reason, http_status, Billed.NO)
        # The option at fault, when the provider names one that is known. "" otherwise.
        self.param = param


class ProviderUnavailable(ProviderError):
    """The provider is at fault: another try or another provider may do."""

    def __init__(
        self,
        provider: str,
        reason: Unavailability,
        *,
        billed: Billed,
        http_status: int = 0,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(provider, reason, http_status, billed)
        # How long it asks to be left alone. None when it does not say.
        self.retry_after_seconds = retry_after_seconds
        # Another deployment of the provider takes calls: nothing has to be waited for.
        self.elsewhere_ready = False

    @property
    def retryable_here(self) -> bool:
        """False when only the operator can mend it: try another provider at once."""
        return self.elsewhere_ready or self.reason not in _MENDED_BY_THE_OPERATOR


_MENDED_BY_THE_OPERATOR = {
    Unavailability.QUOTA_USED_UP,
    Unavailability.CREDENTIALS,
    Unavailability.NOT_FOUND,
    Unavailability.REDIRECT,
}


class Provider(Protocol):
    """Calls one provider. An implementation must not retry, follow redirects or log content."""

    async def complete(self, call: ProviderCall, deadline: Deadline) -> ProviderAnswer:
        """The whole answer.

        Raises: ProviderRefused, ProviderUnavailable. When cancelled it must close its connection,
        so that the provider stops working.
        """
        ...

    def stream(
        self, call: ProviderCall, deadline: Deadline
    ) -> AsyncGenerator[ProviderDelta | ProviderEnd, None]:
        """The answer piece by piece, ProviderEnd last and only after a whole answer.

        Raises like `complete`, also after the first piece. The caller must close the generator
        (contextlib.aclosing); that closes the connection.
        """
        ...
