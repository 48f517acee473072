"""An outbox in memory, for tests of the saga alone."""


class MemoryOutbox:
    """gateway.books.Outbox."""

    def __init__(self) -> None:
        self.records = {}
        self.handed_over = []
        self._next = 0
        self.full = False

    async def put(self, item):
        self._next += 1
        self.records[self._next] = item
        return self._next

    def has_room(self, records):
        return not self.full

    def ack(self, position):
        del self.records[position]

    def hand_over(self, position):
        self.handed_over.append(position)
