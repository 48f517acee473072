"""For our own mistakes: what must hold whatever the world does."""


class InvariantBroken(Exception):
    """The code is wrong; no input can be."""


def invariant(holds: bool, rule: str) -> None:
    """Raises InvariantBroken unless `holds`. Unlike assert it stays under -O."""
    if not holds:
        raise InvariantBroken(rule)
