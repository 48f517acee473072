"""Server-sent events, parsed from bytes as they come (WHATWG HTML, section 9.2)."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event is over the limit."""


class SseParser:
    """Takes bytes cut anywhere, gives the data of whole events.

    Lines end with CR, LF or both. Comments and fields other than `data` are passed over.
    """

    def __init__(self, event_bytes_max: int) -> None:
        self._event_bytes_max = event_bytes_max
        self._rest = bytearray()
        # Up to here `_rest` is known to hold no end of a line.
        self._searched = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._at_start = True
        self._after_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes. Raises: EventTooLarge."""
        if self._after_cr and piece:
            # The other half of a CR LF that was cut in two.
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        self._rest += piece
        if self._at_start:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return []
            self._at_start = False
            if self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        events: list[bytes] = []
        start = 0
        while (end := self._end_of_line(max(start, self._searched))) >= 0:
            self._line(bytes(self._rest[start:end]), events)
            start = self._after(end)
        del self._rest[:start]
        self._searched = len(self._rest)
        if self._data_bytes + len(self._rest) > self._event_bytes_max:
            raise EventTooLarge
        return events

    def finish(self) -> list[bytes]:
        """The last event when the stream ended without the empty line behind it.

        Servers that forget that line are many; a cut event is no valid JSON and shows later.
        """
        events: list[bytes] = []
        self._line(bytes(self._rest), events)
        self._rest.clear()
        self._line(b"", events)
        return events

    def _end_of_line(self, start: int) -> int:
        lf = self._rest.find(b"\n", start)
        cr = self._rest.find(b"\r", start, lf if lf >= 0 else len(self._rest))
        return cr if cr >= 0 else lf

    def _after(self, end: int) -> int:
        """Where the next line begins."""
        if self._rest[end] == 0x0A:
            return end + 1
        if end + 1 == len(self._rest):
            self._after_cr = True
            return end + 1
        return end + 2 if self._rest[end + 1] == 0x0A else end + 1

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            # An event without data is none: some servers send them to keep the line awake.
            if event := b"\n".join(self._data):
                events.append(event)
            self._data = []
            self._data_bytes = 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._event_bytes_max:
                raise EventTooLarge
