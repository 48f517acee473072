"""Talks to Spendgate's gateway over gRPC: answers, streams, typed errors."""

from spendgate_client.client import Answer, Ask, Piece, Spendgate
from spendgate_client.errors import (
    BudgetExceeded,
    Cancelled,
    DeadlinePassed,
    InvalidRequest,
    KeyInvalid,
    ModelUnknown,
    ModelUnpriced,
    NoCandidate,
    Overloaded,
    ProviderFailed,
    ProviderRefused,
    ServiceUnavailable,
    SpendgateError,
)

__all__ = [
    "Answer",
    "Ask",
    "BudgetExceeded",
    "Cancelled",
    "DeadlinePassed",
    "InvalidRequest",
    "KeyInvalid",
    "ModelUnknown",
    "ModelUnpriced",
    "NoCandidate",
    "Overloaded",
    "Piece",
    "ProviderFailed",
    "ProviderRefused",
    "ServiceUnavailable",
    "Spendgate",
    "SpendgateError",
]
