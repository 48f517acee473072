"""Conversations seen before, found again by the bytes of their beginning.

A keyed hash stands for a prompt's messages up to some place; what is kept under it are numbers.
A conversation is taken out, told what is new, and put back under its new, longer beginning.
"""

import hashlib
import threading
from collections import OrderedDict
from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.context.conversation import Conversation

# A call adds an answer and what was asked next, or an answer and the results of its tools.
_ANSWERS_BACK_MAX: Final = 2
_MESSAGES_BACK_MAX: Final = 40


class Conversations:
    """The most recently used, of at most `messages_max` messages together. Safe to use from
    several threads: who takes one has it alone."""

    def __init__(self, messages_max: int, key: bytes) -> None:
        """`key`: random bytes of this process, so that nobody outside can find or forge one."""
        self._messages_max = messages_max
        # Most processors hash SHA-256 themselves, twice as fast as anything else here. A digest
        # leaves this process never, so a key in front is as good as any keyed hash.
        self._seeded = hashlib.sha256(key)
        self._entries: OrderedDict[bytes, Conversation] = OrderedDict()
        self._messages = 0
        self._lock = threading.Lock()

    def take(self, kind: bytes, raw: bytes, ends: list[int]) -> tuple[Conversation | None, bytes]:
        """(the longest known beginning of `raw`, if any; what to put the whole under).

        `ends` are where messages end in `raw`, ascending; the last is the end of them all.
        """
        hashing = self._seeded.copy()
        hashing.update(b"%d:" % len(kind))
        hashing.update(kind)
        digests, start, view = [], 0, memoryview(raw)
        for end in ends:
            hashing.update(view[start:end])
            digests.append(hashing.copy().digest())
            start = end
        with self._lock:
            for digest in reversed(digests):
                found = self._entries.pop(digest, None)
                if found is not None:
                    self._messages -= len(found)
                    return found, digests[-1]
        return None, digests[-1]

    def put(self, digest: bytes, talk: Conversation) -> None:
        """Keeps it; those not used for longest go when there are too many."""
        with self._lock:
            old = self._entries.pop(digest, None)
            self._messages += len(talk) - (len(old) if old is not None else 0)
            self._entries[digest] = talk
            while self._messages > self._messages_max:
                _, gone = self._entries.popitem(last=False)
                self._messages -= len(gone)

    def __len__(self) -> int:
        return len(self._entries)


def ends_of(prompt: chat.Prompt) -> list[int]:
    """Where in the prompt's bytes a call before this one may have ended, and all messages end.

    Messages are a prompt's first field: its bytes begin with theirs, whatever follows.
    """
    messages = prompt.messages
    ends = [prompt.ByteSize() - _bytes_beside_messages(prompt)]
    end, answers = ends[0], 0
    for place in range(len(messages) - 1, max(0, len(messages) - _MESSAGES_BACK_MAX), -1):
        message = messages[place]
        end -= _framed(message.ByteSize())
        if message.role == chat.ROLE_ASSISTANT:
            ends.append(end)
            answers += 1
            if answers == _ANSWERS_BACK_MAX:
                break
    ends.reverse()
    return ends


def _bytes_beside_messages(prompt: chat.Prompt) -> int:
    size = sum(_framed(tool.ByteSize()) for tool in prompt.tools)
    if prompt.HasField("sampling"):
        size += _framed(prompt.sampling.ByteSize())
    for text in (prompt.tool_choice_json, prompt.response_format_json, prompt.extra_json):
        if text:
            size += _framed(len(text.encode()))
    return size


def _framed(size: int) -> int:
    """Bytes of a field of `size` bytes with its tag, whose number is below 16, and its length."""
    return 1 + max(1, -(-size.bit_length() // 7)) + size
