"""Ports that a process opens: how one is turned off, and what is told when one is taken."""

from typing import Final

# As an address: no such port.
OFF: Final = "off"


class AddressTaken(Exception):
    """A port is in use, or not ours to open. `variable` is what sets its address."""

    def __init__(self, listen: str, variable: str) -> None:
        super().__init__(listen)
        self.problems = [f"cannot listen on {listen}: is it in use? {variable} sets another"]
