"""AWS's binary framing of streams (vnd.amazon.eventstream), parsed from bytes as they come.

A message: length of all, length of the headers, CRC-32 of these eight bytes; headers; payload;
CRC-32 of all before. Numbers are big-endian.
"""

import binascii
import struct

import orjson

from gateway.openai.answer import BadAnswer, FailedInside
from gateway.providers.sse import EventTooLarge

_PRELUDE = struct.Struct(">II")
_CRC = struct.Struct(">I")
_HEAD_BYTES = _PRELUDE.size + _CRC.size
_AROUND_BYTES = _HEAD_BYTES + _CRC.size
# Bytes of a header's value by its type: true, false, byte, short, int, long, time, UUID.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


class EventStreamParser:
    """gateway.providers.wire.EventParser. An event is the JSON object {its type: its payload}."""

    def __init__(self, event_bytes_max: int) -> None:
        self._event_bytes_max = event_bytes_max
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes. Raises: EventTooLarge, BadAnswer, FailedInside."""
        self._rest += piece
        events: list[bytes] = []
        start = 0
        while len(self._rest) - start >= _HEAD_BYTES:
            size, headers_size = _PRELUDE.unpack_from(self._rest, start)
            if size > self._event_bytes_max:
                raise EventTooLarge
            if size < _AROUND_BYTES + headers_size or not self._sound(start, _PRELUDE.size):
                raise BadAnswer
            if len(self._rest) - start < size:
                break
            if not self._sound(start, size - _CRC.size):
                raise BadAnswer
            headers_end = start + _HEAD_BYTES + headers_size
            headers = _headers(bytes(self._rest[start + _HEAD_BYTES : headers_end]))
            payload = bytes(self._rest[headers_end : start + size - _CRC.size])
            events.append(_event(headers, payload))
            start += size
        del self._rest[:start]
        return events

    def finish(self) -> list[bytes]:
        """Nothing is left at the end of a stream that is whole. Raises: BadAnswer."""
        if self._rest:
            raise BadAnswer
        return []

    def _sound(self, start: int, size: int) -> bool:
        """Whether the checksum behind `size` bytes is theirs."""
        told: int = _CRC.unpack_from(self._rest, start + size)[0]
        return binascii.crc32(memoryview(self._rest)[start : start + size]) == told


def _event(headers: dict[str, str], payload: bytes) -> bytes:
    if headers.get(":message-type", "event") != "event":
        # An exception or an error: its text is not read.
        raise FailedInside
    name = orjson.dumps(headers.get(":event-type", ""))
    return b"{%b:%b}" % (name, payload or b"{}")


def _headers(content: bytes) -> dict[str, str]:
    """The headers that are texts. Raises: BadAnswer."""
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(content):
            name_end = at + 1 + content[at]
            name = content[at + 1 : name_end].decode()
            kind = content[name_end]
            at = name_end + 1
            if kind in (_BYTES, _STRING):
                (size,) = struct.unpack_from(">H", content, at)
                value = content[at + 2 : at + 2 + size]
                if len(value) < size:
                    raise BadAnswer
                at += 2 + size
                if kind == _STRING:
                    headers[name] = value.decode()
            else:
                at += _FIXED[kind]
    except (IndexError, KeyError, UnicodeDecodeError, struct.error):
        raise BadAnswer from None
    return headers
