"""What can go wrong with one item, with its numbers, and the one table to statuses."""

import grpc

from chassis.errors import ErrorStatus, ErrorTable
from services.cache.once import AnswerUnreadable
from services.cache.store import StoreUnavailable

DOMAIN = "cache.spendgate"


class AnswerUnfinished(Exception):
    """An answer that did not end by itself. `finish_reason` is an enum name without prefix."""

    def __init__(self, finish_reason: str) -> None:
        super().__init__(finish_reason)
        self.finish_reason = finish_reason


class AnswerTooLarge(Exception):
    """An answer over the limit, in bytes."""

    def __init__(self, answer_bytes: int, answer_bytes_max: int) -> None:
        super().__init__(answer_bytes, answer_bytes_max)
        self.answer_bytes = answer_bytes
        self.answer_bytes_max = answer_bytes_max


class TtlInvalid(Exception):
    """A time to live outside its range, in seconds."""

    def __init__(self, ttl_seconds: int, ttl_seconds_max: int) -> None:
        super().__init__(ttl_seconds, ttl_seconds_max)
        self.ttl_seconds = ttl_seconds
        self.ttl_seconds_max = ttl_seconds_max


class QuotaExceeded(Exception):
    """A user with as many answers kept as one may have."""

    def __init__(self, entry_count_max: int) -> None:
        super().__init__(entry_count_max)
        self.entry_count_max = entry_count_max


class ModelsUnavailable(Exception):
    """The semantic half is off, not installed, or still loading."""


def _answer_unfinished(error: AnswerUnfinished) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "ANSWER_NOT_STORABLE",
        f"only finished answers are kept; this one ended with {error.finish_reason}",
        {"finishReason": error.finish_reason},
    )


def _answer_too_large(error: AnswerTooLarge) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "ANSWER_NOT_STORABLE",
        f"the answer has {error.answer_bytes} bytes; {error.answer_bytes_max} are kept at most",
        {"answerBytes": str(error.answer_bytes), "answerBytesMax": str(error.answer_bytes_max)},
    )


def _ttl_invalid(error: TtlInvalid) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "TTL_INVALID",
        f"the time to live takes 1 to {error.ttl_seconds_max} seconds, got {error.ttl_seconds}",
        {"ttlSeconds": str(error.ttl_seconds), "ttlSecondsMax": str(error.ttl_seconds_max)},
    )


def _quota_exceeded(error: QuotaExceeded) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUOTA_EXCEEDED",
        f"the user has {error.entry_count_max} answers kept already",
        {"entryCountMax": str(error.entry_count_max)},
    )


def _store_unavailable(_: StoreUnavailable) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "Redis did not take the answer"
    )


def _models_unavailable(_: ModelsUnavailable) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE,
        "MODELS_UNAVAILABLE",
        "the models that read texts are not loaded",
    )


def _answer_unreadable(_: AnswerUnreadable) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "what was kept cannot be read any more"
    )


TABLE = ErrorTable(
    DOMAIN,
    {
        AnswerUnfinished: _answer_unfinished,
        AnswerTooLarge: _answer_too_large,
        TtlInvalid: _ttl_invalid,
        QuotaExceeded: _quota_exceeded,
        AnswerUnreadable: _answer_unreadable,
        StoreUnavailable: _store_unavailable,
        ModelsUnavailable: _models_unavailable,
    },
)
