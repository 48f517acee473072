"""The fast engine with tiktoken behind it: a text that one gives up on is counted by the other."""

from collections.abc import Callable

from services.tokenizer.engines.port import Checkpoint, EncoderPanicked, Engine, no_checkpoint


class GuardedEngine:
    """`fast` as long as it holds; `on_panic` is told, in whatever thread, when it did not."""

    def __init__(self, fast: Engine, reference: Engine, on_panic: Callable[[], None]) -> None:
        self._fast = fast
        self.reference = reference
        self._on_panic = on_panic

    def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
        """See the port."""
        try:
            return self._fast.count(text, checkpoint)
        except EncoderPanicked:
            self._on_panic()
            return self.reference.count(text, checkpoint)
