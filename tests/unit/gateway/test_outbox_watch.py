"""What health is told of the outbox."""

import pytest

from chassis.health import Health
from gateway.outbox.outbox import OutboxState
from gateway.outbox.watch import tell


@pytest.mark.parametrize(
    ("state", "has_room", "told"),
    [
        (OutboxState(0, 0, 0, 0.0), True, "ok"),
        (OutboxState(3, 900, 0, 5.0), True, "ok"),
        (OutboxState(3, 900, 0, 31.0), True, "degraded"),
        (OutboxState(0, 0, 120, 0.0), True, "degraded"),
        (OutboxState(9, 900, 0, 31.0), False, "failed"),
    ],
)
def test_only_a_full_outbox_takes_the_gateway_out(state, has_room, told):
    """Waiting and parked bookings are the operator's to see; without room nothing may be spent."""
    part = Health().part("outbox")
    tell(state, has_room=has_room, part=part)
    assert part.state == told
