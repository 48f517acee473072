"""What an engine is: one vocabulary's tokens of one text."""

from collections.abc import Callable
from typing import Protocol

Checkpoint = Callable[[], None]


def no_checkpoint() -> None:
    """For work that nobody stops."""


class EncoderPanicked(Exception):
    """The encoder gave up on a text."""


class Engine(Protocol):
    """Counts texts with one vocabulary; safe to use from several threads at once."""

    def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
        """Tokens of `text`, the text of special tokens taken as ordinary text.

        Any str will do, lone surrogates count as U+FFFD. Must call `checkpoint` now and then in a
        long text and let through what that raises; must let go of the GIL in a long text. Raises
        EncoderPanicked, never a BaseException of its own.
        """
        ...


def sound(text: str) -> str:
    """`text` as UTF-8 can hold it: lone surrogates replaced, whole pairs as their character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_panic(error: BaseException) -> bool:
    """Whether it is what Rust's panics become: no Exception, so `except Exception` misses it."""
    return type(error).__name__ == "PanicException"
