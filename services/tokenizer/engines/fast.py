"""toktok: ten times as fast as tiktoken, and never trusted before it has been checked.

The package `toktok-rs` carries its own copy of the vocabularies. It is linear on hostile text
and lets go of the GIL. Measured in docs/tokens.md.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

from services.tokenizer.engines.port import (
    Checkpoint,
    EncoderPanicked,
    is_panic,
    no_checkpoint,
    sound,
)
from services.tokenizer.safe_cuts import parts_of

# At least so many characters a call: a quarter of a million of the worst text take 50 ms, and
# between two calls a count can be stopped.
FAST_PART_CHARS: Final = 256 * 1024


class FastEngine:
    """One vocabulary's counter behind the port. `count_text` is the package's own."""

    def __init__(self, count_text: Callable[[str], int]) -> None:
        self._count_text = count_text

    def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
        """See the port."""
        if len(text) <= FAST_PART_CHARS:
            return self._count_part(text)
        tokens = 0
        for start, end in parts_of(text, FAST_PART_CHARS):
            checkpoint()
            tokens += self._count_part(text[start:end])
        return tokens

    def _count_part(self, text: str) -> int:
        try:
            return self._count_text(text)
        except UnicodeEncodeError:
            return self._count_text(sound(text))
        except ValueError as error:
            raise EncoderPanicked from error
        except BaseException as error:
            if is_panic(error):
                raise EncoderPanicked from None
            raise


def load_fast(name: str) -> FastEngine:
    """The engine for one vocabulary. Takes 0.3 s. Raises: ImportError, AttributeError, KeyError."""
    package: Any = importlib.import_module("toktok")
    # Its public call takes lists and starts threads of its own: 25 us a text. The one beneath it
    # counts one text; the pin of the version and the check at start guard it.
    return FastEngine(package._encoding(name).count)
