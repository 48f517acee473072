"""Delivers alerts to webhooks: one loop each, so that one that hangs keeps no other waiting."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import metrics

from catalog.alerts import WebhookConfig
from catalog.config import ConfigError
from chassis.settings import secret_of
from services.ledger.alerts.body import (
    EVENT_HEADER,
    SIGNATURE_HEADER,
    body_of,
    event_id,
    signature,
)
from services.ledger.alerts.store import AlertStore, Claim, DeliveryState
from services.ledger.rules.refusals import BooksUnavailable
from services.ledger.rules.values import MICROS_PER_SECOND

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger("ledger.alerts")
# Longer than any try lasts: a ledger that dies with an alert in hand hands it on after this.
LEASE_SECONDS = 120
BACKOFF_SECONDS_MAX = 900
_DOUBLINGS_MAX = 12
ANSWER_BYTES_MAX = 64 * 1024
HTTP_OK, HTTP_REDIRECT = 200, 300

_deliveries = metrics.get_meter("spendgate").create_counter(
    "spendgate.ledger.alert_deliveries",
    unit="{try}",
    description="Tries to deliver an alert, by webhook and outcome.",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook with what its variables hold."""

    name: str
    url: str
    secret: bytes | None
    form: str
    timeout_seconds: float


def targets(webhooks: Mapping[str, WebhookConfig], environ: Mapping[str, str]) -> list[Target]:
    """The webhooks of the fleet file; NAME_FILE may name a file that holds the value of NAME.

    Raises: ConfigError when a variable is not set.
    """
    found, problems = [], []
    for name, hook in webhooks.items():
        here = f"alerts.webhooks.{name}"
        told = {each: secret_of(environ, each) or "" for each in (hook.url_env,) if each}
        try:
            url = hook.address(told)
        except ValueError as error:
            problems.append(f"{here}.url_env: the variable {hook.url_env} {error}")
            continue
        if url is None:
            problems.append(f"{here}.url_env: the variable {hook.url_env} is not set")
        secret = (hook.secret_env and secret_of(environ, hook.secret_env)) or ""
        if hook.secret_env and not secret:
            problems.append(f"{here}.secret_env: the variable {hook.secret_env} is not set")
        signed = secret.encode() if secret else None
        found.append(Target(name, url or "", signed, hook.format, hook.timeout_seconds))
    if problems:
        raise ConfigError("alerts", problems)
    return found


class Deliverer:
    """Delivers what is due. `clock` gives microseconds since 1970, `chance` numbers from 0 to 1."""

    def __init__(
        self,
        store: AlertStore,
        clock: Callable[[], int],
        chance: Callable[[], float],
        *,
        give_up_seconds: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._give_up_us = round(give_up_seconds * MICROS_PER_SECOND)
        self._session: aiohttp.ClientSession | None = None

    async def deliver_due(self, target: Target) -> bool:
        """Delivers one alert that is due; False when there is none. Raises: BooksUnavailable."""
        lease_us = LEASE_SECONDS * MICROS_PER_SECOND
        claim = await self._store.claim(target.name, lease_us=lease_us)
        if claim is None:
            return False
        problem = await self._post(target, claim)
        outcome = "sent" if not problem else "failed"
        if not problem:
            await self._store.resolve(claim, DeliveryState.SENT)
        elif self._clock() - claim.alert.create_us > self._give_up_us:
            outcome = "given_up"
            _log.error(
                "an alert was given up",
                extra={"webhook": target.name, "alert": claim.alert.number, "problem": problem},
            )
            await self._store.resolve(claim, DeliveryState.GIVEN_UP, problem=problem)
        else:
            wait_us = self._wait_us(claim.try_count)
            await self._store.resolve(
                claim, DeliveryState.PENDING, next_us=self._clock() + wait_us, problem=problem
            )
        labels = {"spendgate.alert.webhook": target.name, "spendgate.alert.outcome": outcome}
        _deliveries.add(1, labels)
        return True

    async def close(self) -> None:
        """Lets connections go."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, target: Target, claim: Claim) -> str:
        """What went wrong, "" when it arrived."""
        # A tenth of a ledger's start, and a ledger without webhooks never needs it.
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        body = body_of(claim.alert, target.form)
        headers = {"Content-Type": "application/json", EVENT_HEADER: event_id(claim.alert)}
        if target.secret is not None:
            now = self._clock() // MICROS_PER_SECOND
            headers[SIGNATURE_HEADER] = signature(target.secret, body, now)
        try:
            async with self._session.post(
                target.url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=target.timeout_seconds),
                # A redirect would carry the alert to where nobody configured it.
                allow_redirects=False,
            ) as response:
                await response.content.read(ANSWER_BYTES_MAX)
                good = HTTP_OK <= response.status < HTTP_REDIRECT
                return "" if good else f"HTTP {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return type(error).__name__

    def _wait_us(self, tries: int) -> int:
        """Doubled each time up to a quarter of an hour, half of it by chance."""
        seconds = min(BACKOFF_SECONDS_MAX, 1 << min(tries, _DOUBLINGS_MAX))
        return round(seconds * MICROS_PER_SECOND * (0.5 + self._chance() / 2))


async def deliver_for_ever(deliverer: Deliverer, target: Target, *, seconds: float) -> None:
    """Delivers to one webhook; when nothing is due it looks again after `seconds`."""
    while True:
        busy = False
        try:
            busy = await deliverer.deliver_due(target)
        except BooksUnavailable:
            _log.warning("the database does not answer; alerts wait")
        except Exception as error:
            _log.error("delivering failed", extra={"error_type": type(error).__name__})
        if not busy:
            await asyncio.sleep(seconds)
