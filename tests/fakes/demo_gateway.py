"""A gateway for the demo's own logic: answers at once, remembers what it was asked."""

import asyncio

from cli.demo_call import Ask
from cli.demo_outcome import Outcome, Source


class Gateway:
    """Answers as a provider would; `twice` names sessions that spoke twice at once."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.under_way: set[str] = set()
        self.most = 0
        self.twice: list[str] = []

    async def send(self, ask: Ask) -> Outcome:
        """An answer that repeats the question, after one turn of the loop."""
        self.asks.append(ask)
        if ask.row.session in self.under_way:
            self.twice.append(ask.row.session)
        self.under_way.add(ask.row.session)
        self.most = max(self.most, len(self.under_way))
        await asyncio.sleep(0)
        self.under_way.discard(ask.row.session)
        return Outcome(ask.row, Source.PROVIDER, 1, f"answer to {ask.row.text}", model=ask.model)
