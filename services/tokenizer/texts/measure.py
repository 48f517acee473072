"""Token counts of many prefixes and suffixes of one text, for about the price of one count."""

from bisect import bisect_left, bisect_right
from typing import Final

from services.tokenizer.meter import Meter
from services.tokenizer.safe_cuts import parts_of

_PART_CHARS: Final = 2 * 1024


class Measured:
    """A text cut at places where its parts' tokens add up (`safe_cuts`)."""

    def __init__(self, text: str, meter: Meter) -> None:
        self.text = text
        self._meter = meter
        self._cuts = [0]
        self._sums = [0]
        for start, end in parts_of(text, _PART_CHARS):
            self._cuts.append(end)
            self._sums.append(self._sums[-1] + meter.raw(text[start:end]))

    @property
    def tokens(self) -> int:
        """Of the whole."""
        return self._meter.scaled(self.text, self._sums[-1])[0]

    def head(self, chars: int) -> int:
        """Tokens of the first so many characters."""
        part = bisect_right(self._cuts, chars) - 1
        raw = self._sums[part] + self._meter.raw(self.text[self._cuts[part] : chars])
        return self._meter.scaled(self.text[:chars], raw)[0]

    def tail(self, chars: int) -> int:
        """Tokens of the last so many characters."""
        start = len(self.text) - chars
        part = bisect_left(self._cuts, start)
        raw = self._meter.raw(self.text[start : self._cuts[part]])
        raw += self._sums[-1] - self._sums[part]
        return self._meter.scaled(self.text[start:], raw)[0]
