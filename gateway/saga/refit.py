"""What can be done when a provider says that a prompt does not fit its model.

The tokenizer's counts keep most of that away; it happens where they are estimates, or where the
window is not known.
"""

from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.fleet import Fleet
from catalog.prices import UnknownModel
from chassis.errors import RemoteError
from gateway.ports import Services
from gateway.saga.ask import Ask
from gateway.saga.shaping import note_shaping, sent_prompt

# What did not fit goes down to this share of what it was counted as.
KEPT_NUMERATOR, KEPT_DENOMINATOR = 3, 4


class Refit:
    """Finds models that take more, and shortens prompts."""

    def __init__(self, services: Services, fleet: Fleet) -> None:
        self._services = services
        self._fleet = fleet

    def window_of(self, candidate: router_pb.Candidate, ask: Ask) -> int:
        """Tokens that a model, which refused the prompt, takes at most."""
        return self._window(candidate) or max(1, ask.prepared.input.tokens)

    def takes_more(self, candidate: router_pb.Candidate, window_tokens: int) -> bool:
        """Whether a model is known to take more than so many tokens."""
        return (self._window(candidate) or 0) > window_tokens

    async def shorten(self, ask: Ask, candidate: router_pb.Candidate) -> bool:
        """Leaves the beginning of the conversation out of what is sent. False: the caller wants
        all of it, it was done already, or there is nothing to leave out."""
        if ask.refitted or ask.wishes.all_wanted:
            return False
        counted = ask.prepared.input.tokens
        kept = max(1, counted * KEPT_NUMERATOR // KEPT_DENOMINATOR)
        window = self._window(candidate)
        if window is not None:
            kept = min(kept, max(1, window - candidate.output_tokens_max))
        item = tokenizer_pb.PrepareItem(
            traceparent=ask.traceparent,
            model=ask.counted_as.model,
            encoding=ask.counted_as.encoding,
            prompt=ask.prompt,
            compress=ask.wishes.compress_options(),
            fit=tokenizer_pb.FitOptions(
                policy=tokenizer_pb.CONTEXT_POLICY_APPEND_ONLY,
                window_tokens=kept,
                cut_from_message=0,
            ),
        )
        try:
            prepared = await self._services.prepare(item, ask.deadline)
        except RemoteError:
            return False
        if not prepared.HasField("edits") or prepared.input.tokens >= counted:
            return False
        ask.prepared = prepared
        ask.shaped = sent_prompt(ask.prompt, prepared.edits)
        ask.refitted = True
        note_shaping(ask)
        return True

    def _window(self, candidate: router_pb.Candidate) -> int | None:
        try:
            return self._fleet.models.card(candidate.model).context_window_tokens
        except UnknownModel:
            return None
