"""The order of the layers."""

from chassis.interceptors import (
    LAYERS,
    auth_layer,
    deadline_layer,
    errors_layer,
    log_layer,
    trace_layer,
)


def test_the_layers_stand_in_the_order_their_reasons_ask_for():
    """Errors outermost, so that nothing leaks; auth innermost, so that its refusal is logged,
    traced and mapped like any other."""
    assert (errors_layer, trace_layer, log_layer, deadline_layer, auth_layer) == LAYERS
