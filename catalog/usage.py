"""What a call used, in tokens by bucket."""

from dataclasses import dataclass, fields

TOKENS_MAX = 10**12


class ImpossibleUsage(Exception):
    """A bucket holds a number that no call can have used.

    `bucket` is the name of the field, `tokens` the number found there.
    """

    def __init__(self, bucket: str, tokens: int) -> None:
        super().__init__(f"{bucket} is {tokens}; it must be from 0 to {TOKENS_MAX}")
        self.bucket = bucket
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by bucket. The buckets are disjoint: no token is in two of them.

    Raises ImpossibleUsage when a bucket is below 0 or above TOKENS_MAX.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0

    def __post_init__(self) -> None:
        for bucket in BUCKETS:
            tokens = getattr(self, bucket)
            if not 0 <= tokens <= TOKENS_MAX:
                raise ImpossibleUsage(bucket, tokens)

    @property
    def read_tokens(self) -> int:
        """Everything the model read: this is what long-context prices look at."""
        return (
            self.input_tokens
            + self.cached_input_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
            + self.audio_input_tokens
            + self.image_input_tokens
        )

    @property
    def written_tokens(self) -> int:
        """Everything the model wrote, hidden reasoning, sound and pictures included."""
        return (
            self.output_tokens
            + self.reasoning_tokens
            + self.audio_output_tokens
            + self.image_output_tokens
        )


BUCKETS = tuple(field.name for field in fields(Usage))
