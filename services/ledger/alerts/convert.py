"""Alerts as the contract has them."""

from spendgate.ledger.v1 import alert_pb2

from services.ledger.alerts.store import KeptAlert
from services.ledger.convert import to_pb_time


def to_pb_alert(alert: KeptAlert) -> alert_pb2.Alert:
    """An alert with how it is on its way."""
    raised = alert.raised
    return alert_pb2.Alert(
        number=alert.number,
        event_key=raised.event_key,
        tenant=raised.tenant,
        kind=f"ALERT_KIND_{raised.kind.name}",
        title=raised.title,
        reason=raised.reason,
        observed=raised.observed,
        threshold=raised.threshold,
        subject=dict(raised.subject),
        event_time=to_pb_time(raised.event_us),
        create_time=to_pb_time(alert.create_us),
        deliveries=[
            alert_pb2.AlertDelivery(
                webhook=each.webhook,
                state=f"DELIVERY_STATE_{each.state.name}",
                try_count=each.try_count,
                last_problem=each.last_problem,
            )
            for each in alert.deliveries
        ],
    )
