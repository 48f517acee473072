"""What is done with an option that a provider lacks: refused, or left out with a warning.

Which of the two is the operator's choice (`providers.*.unsupported`). Nothing is ever left out
silently: a caller who set an option must not believe that it held.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

UnsupportedPolicy = Literal["error", "drop"]


class OptionUnsupported(Exception):
    """The provider has no such option. `option` is its name as the caller knows it."""

    def __init__(self, option: str) -> None:
        super().__init__(option)
        self.option = option


class Options:
    """Collects what was left out of one request."""

    def __init__(self, provider: str, policy: UnsupportedPolicy) -> None:
        """`provider` is the configured name."""
        self._provider = provider
        self._policy = policy
        self._left_out: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the caller is told. Names options, quotes no values."""
        return tuple(f"{option} was left out: {self._provider} lacks it" for option in self._names)

    def lacks(self, option: str) -> None:
        """The provider lacks an option that was set. Raises: OptionUnsupported, by policy."""
        if self._policy == "error":
            raise OptionUnsupported(option)
        self._left_out.append(option)

    def without(self, values: dict[str, Any], lacking: Iterable[str]) -> dict[str, Any]:
        """`values` less those that are lacking. Raises: OptionUnsupported, by policy."""
        gone = [name for name in lacking if name in values]
        for name in gone:
            self.lacks(name)
        return {name: value for name, value in values.items() if name not in gone}

    @property
    def _names(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._left_out))
