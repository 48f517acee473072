"""tiktoken: what it counts is what exact means. It serves where nothing faster may."""

from collections.abc import Mapping

import tiktoken

from services.tokenizer.engines.port import (
    Checkpoint,
    EncoderPanicked,
    is_panic,
    no_checkpoint,
    sound,
)
from services.tokenizer.safe_cuts import BLANKS, blank_runs_in, parts_of

_NO_SPECIALS: frozenset[str] = frozenset()


class TiktokenEngine:
    """About 25 ns a character of English, at worst about 1 us a character."""

    def __init__(
        self, name: str, pattern: str, ranks: Mapping[bytes, int], specials: Mapping[str, int]
    ) -> None:
        """`ranks` are the vocabulary's tokens by bytes."""
        # tiktoken's own object.
        self.encoding = tiktoken.Encoding(
            name, pat_str=pattern, mergeable_ranks=dict(ranks), special_tokens=dict(specials)
        )
        # Every token that can arise inside a blank run, and a pattern that takes the run whole:
        # tiktoken's own way to encode one piece holds the GIL for as long as it takes.
        blank_bytes = set("".join(BLANKS).encode())
        self._blank_encoding = tiktoken.Encoding(
            f"{name}_blank",
            pat_str=r"[\s\S]+",
            mergeable_ranks={
                token: rank
                for token, rank in ranks.items()
                if len(token) == 1 or blank_bytes.issuperset(token)
            },
            special_tokens=dict(specials),
        )

    def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
        """See the port."""
        tokens = 0
        for start, end in parts_of(text):
            checkpoint()
            tokens += self._count_part(text, start, end)
        return tokens

    def _count_part(self, text: str, start: int, end: int) -> int:
        tokens = 0
        for run_start, run_end in blank_runs_in(text, start, end):
            if run_end < end:
                if text[run_end] in "\r\n":
                    continue  # part of the line end, which both patterns take in one step
                run_end -= 1  # noqa: PLW2901  # the last blank belongs to what follows
            tokens += _tokens(self.encoding, text[start:run_start])
            tokens += _tokens(self._blank_encoding, text[run_start:run_end])
            start = run_end
        return tokens + _tokens(self.encoding, text[start:end])


def _tokens(encoding: tiktoken.Encoding, text: str) -> int:
    """Number of tokens, without making a Python int of each (4 MB of ints hold the GIL 20 ms)."""
    if not text:
        return 0
    # The private core has the only call that gives a buffer without numpy; the probe at start
    # and the pin of tiktoken guard it.
    encode = encoding._core_bpe.encode_to_tiktoken_buffer
    try:
        return memoryview(encode(text, _NO_SPECIALS)).nbytes // 4
    except UnicodeEncodeError:
        return memoryview(encode(sound(text), _NO_SPECIALS)).nbytes // 4
    except ValueError as error:
        raise EncoderPanicked from error
    except BaseException as error:
        if is_panic(error):
            raise EncoderPanicked from None
        raise
