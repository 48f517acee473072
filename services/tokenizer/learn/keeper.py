"""Learns from reports, and keeps what was learned where it survives a restart."""

import asyncio
from typing import Protocol

from services.tokenizer.learn.learned import LearnedRatios
from services.tokenizer.learn.store_file import RatioStore


class HealthPart(Protocol):
    """How it tells that it is well (chassis.health.Part)."""

    def ok(self) -> None:
        """It is."""
        ...

    def degraded(self, why: str) -> None:
        """It is not, and the service goes on."""
        ...


class Keeper:
    """One at a time brings ratios up to date and their files with them."""

    def __init__(self, ratios: LearnedRatios, store: RatioStore | None, part: HealthPart) -> None:
        """Without a `store` what is learned lasts as long as the process."""
        self._ratios = ratios
        self._store = store
        self._part = part
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Takes what was kept. A file that cannot be used costs its model what it had learned."""
        broken = 0
        try:
            broken = await asyncio.to_thread(self._load)
        except OSError as error:
            self._part.degraded(f"what was learned cannot be read ({type(error).__name__})")
            return
        if broken:
            self._part.degraded(f"{broken} files of learned ratios cannot be used")
        else:
            self._part.ok()

    async def update(self) -> None:
        """New ratios where there is news, on a thread."""
        async with self._turn:
            await asyncio.to_thread(self._ratios.refit)
            await self._save()

    async def close(self) -> None:
        """Keeps the last calls too."""
        async with self._turn:
            await self._save(every=True)

    async def _save(self, *, every: bool = False) -> None:
        if self._store is None:
            return
        try:
            saved = await asyncio.to_thread(self._save_all, self._store, every)
        except OSError as error:
            self._part.degraded(f"what was learned cannot be kept ({type(error).__name__})")
            return
        if saved:
            self._part.ok()

    def _load(self) -> int:
        broken = 0
        for found in self._store.load() if self._store is not None else ():
            if found is None:
                broken += 1
            else:
                self._ratios.restore(*found)
        self._ratios.refit()
        return broken

    def _save_all(self, store: RatioStore, every: bool) -> int:
        changed = self._ratios.changed(every=every)
        for model, (family, pairs) in changed.items():
            store.save(model, family, pairs)
        for model in self._ratios.forgotten():
            store.forget(model)
        return len(changed)
