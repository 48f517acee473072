"""A link to Redis that only knows leases: all else is taken and answered with 0."""


class FakeLink:
    """services.cache.link.Link. It keeps the commands; `away` raises."""

    def __init__(self):
        self.commands = []
        self.held = {}
        self.away = None

    async def run(self, commands):
        if self.away is not None:
            raise self.away
        self.commands += commands
        return [self._reply(*command) for command in commands]

    def _reply(self, name, *arguments):
        if name == "SET" and "NX" in arguments:
            where, token = arguments[:2]
            return True if self.held.setdefault(where, token) == token else None
        if name == "EXISTS":
            return int(arguments[0] in self.held)
        return 0
