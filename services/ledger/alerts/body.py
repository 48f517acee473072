"""What a webhook is sent, and how it can tell that we sent it."""

import hmac
from hashlib import sha256
from typing import Any

import orjson

from catalog.money import usd_text
from services.ledger.alerts.store import KeptAlert
from services.ledger.insight.alert import AlertKind
from services.ledger.rules.windows import to_datetime

SIGNATURE_HEADER = "X-Spendgate-Signature"
EVENT_HEADER = "X-Spendgate-Event"
_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def body_of(alert: KeptAlert, form: str) -> bytes:
    """The JSON body, in the form "json" or "slack"."""
    return orjson.dumps(_slack(alert) if form == "slack" else _plain(alert))


def event_id(alert: KeptAlert) -> str:
    """The same for every try of one event, to one webhook or many."""
    raised = alert.raised
    return sha256(f"{raised.tenant}\0{raised.event_key}".encode()).hexdigest()[:32]


def signature(secret: bytes, body: bytes, unix_seconds: int) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 of "<seconds>.<body>". A receiver that checks the time
    as well cannot be sent an old body again by others."""
    told = hmac.digest(secret, f"{unix_seconds}.".encode() + body, "sha256").hex()
    return f"t={unix_seconds},v1={told}"


def _plain(alert: KeptAlert) -> dict[str, Any]:
    raised = alert.raised
    other = "permille" if raised.kind is AlertKind.ERROR_RATE else raised.subject.get("unit")
    money, unit = other is None, other or "usd"
    return {
        "id": event_id(alert),
        "number": alert.number,
        "kind": raised.kind.name.lower(),
        "tenant": raised.tenant,
        "title": raised.title,
        "reason": raised.reason,
        "text": f"{raised.title}: {raised.reason}",
        f"observed_{unit}": usd_text(raised.observed) if money else raised.observed,
        f"threshold_{unit}": usd_text(raised.threshold) if money else raised.threshold,
        "subject": dict(raised.subject),
        "event_time": to_datetime(raised.event_us).isoformat(),
        "create_time": to_datetime(alert.create_us).isoformat(),
    }


def _slack(alert: KeptAlert) -> dict[str, Any]:
    raised = alert.raised
    title, reason, tenant = _escaped(raised.title), _escaped(raised.reason), _escaped(raised.tenant)
    marked = f"*{title}*\n{reason}\n_{tenant} · {raised.kind.name.lower()}_"
    return {
        "text": f"{title}: {reason}",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": marked}}],
    }


def _escaped(text: str) -> str:
    """Names come from callers: they must not become links or mentions."""
    return "".join(_MARKS.get(sign, sign) for sign in text)
