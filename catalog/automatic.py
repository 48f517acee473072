"""The names that leave the choice of a model to the router: "auto", and "auto:<policy>"."""

from catalog.shapes import AUTO

_PREFIX = AUTO + ":"


def is_automatic(model: str) -> bool:
    """True when the router, not the caller, chooses the model."""
    return model == AUTO or model.startswith(_PREFIX)


def policy_word(model: str) -> str:
    """The policy that the caller names, such as "best" of "auto:best". "" leaves it to the fleet
    file."""
    return model.removeprefix(_PREFIX) if model.startswith(_PREFIX) else ""
