"""Why the tokenizer refuses, and how each refusal looks from outside."""

import grpc

from chassis.errors import ErrorStatus, ErrorTable, FieldViolation, InvalidFields
from services.tokenizer.context.plan import CannotFit

DOMAIN = "tokenizer.spendgate"


class TextTooLarge(Exception):
    """The texts of an item are over their limit together."""

    def __init__(self, field: str, text_bytes: int, text_bytes_max: int) -> None:
        super().__init__(f"{text_bytes} bytes of text, at most {text_bytes_max} are taken")
        self.field = field
        self.text_bytes = text_bytes
        self.text_bytes_max = text_bytes_max


def model_invalid(field: str, description: str) -> InvalidFields:
    """The item's model is missing or no name, or its encoding is not known."""
    return InvalidFields("MODEL_INVALID", FieldViolation(field, description))


def usage_report_invalid(field: str, description: str) -> InvalidFields:
    """A report of usage lacks something, or has a number out of range."""
    return InvalidFields("USAGE_REPORT_INVALID", FieldViolation(field, description))


def prompt_invalid(field: str, description: str) -> InvalidFields:
    """One field of the item's prompt breaks a rule."""
    return InvalidFields("PROMPT_INVALID", FieldViolation(field, description))


def truncation_invalid(field: str, description: str) -> InvalidFields:
    """What a truncation was asked to do makes no sense."""
    return InvalidFields("TRUNCATION_INVALID", FieldViolation(field, description))


def compression_invalid(field: str, description: str) -> InvalidFields:
    """What a compression was asked to do makes no sense."""
    return InvalidFields("COMPRESSION_INVALID", FieldViolation(field, description))


def price_invalid(field: str, description: str) -> InvalidFields:
    """A price is out of range."""
    return InvalidFields("PRICE_INVALID", FieldViolation(field, description))


def context_invalid(field: str, description: str) -> InvalidFields:
    """What FitContext was asked to do makes no sense."""
    return InvalidFields("CONTEXT_INVALID", FieldViolation(field, description))


def _cannot_fit(error: CannotFit) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "CONTEXT_TOO_LARGE",
        str(error),
        {"tokens": str(error.tokens), "windowTokens": str(error.window_tokens)},
        violations=(FieldViolation("messages", f"cannot be under {error.tokens} tokens"),),
    )


def _text_too_large(error: TextTooLarge) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "TEXT_TOO_LARGE",
        str(error),
        {"textBytes": str(error.text_bytes), "textBytesMax": str(error.text_bytes_max)},
        violations=(FieldViolation(error.field, f"is over {error.text_bytes_max} bytes"),),
    )


ERRORS = ErrorTable(DOMAIN, {TextTooLarge: _text_too_large, CannotFit: _cannot_fit})
