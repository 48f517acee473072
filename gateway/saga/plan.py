"""Carries out an escalation plan: cheap answers first, checked; the strong model when they fall.

Every call is an attempt of its own under one hold that covers all of them. The answers are read
by the checks (catalog.checks) and not kept.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from spendgate.chat.v1 import chat_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.checks import Check, Given, Wanted, all_agree, is_long, stands, wanted_of
from chassis import names
from chassis.deadline import DeadlinePassed
from gateway.errors import ProviderFailed
from gateway.providers.port import ProviderRefused
from gateway.saga.answers import Answers, Booked
from gateway.saga.ask import Ask
from gateway.saga.calling import Caller
from gateway.saga.hold import OwnedHold
from gateway.saga.line import Chain
from gateway.saga.outcomes import Outcomes

# Cheap steps may take this share of the time that is left: the strong model needs the rest.
CHEAP_TIME_SHARE = 0.5
CHEAP_TRIES_MAX = 2
# A fallback of the strong model must fit into what is held for it, counted by another vendor.
FALLBACK_NUMERATOR, FALLBACK_DENOMINATOR = 3, 2

JudgedT = TypeVar("JudgedT")

CHECKS = {
    router_pb.CHECK_FINISHED: Check.FINISHED,
    router_pb.CHECK_NOT_EMPTY: Check.NOT_EMPTY,
    router_pb.CHECK_JSON: Check.JSON,
    router_pb.CHECK_TOOL_CALL: Check.TOOL_CALL,
    router_pb.CHECK_AGREEMENT: Check.AGREEMENT,
    router_pb.CHECK_NOT_REFUSED: Check.NOT_REFUSED,
}


@dataclass(slots=True)
class Early:
    """What the cheap steps brought. `taken`: the answer that stood; None: ask the strong model.

    `standby`: an answer that stood what needs no other answer, for when the strong model fails.
    """

    taken: Booked | None = None
    standby: Booked | None = None


class Plans:
    """Asks the cheap steps of a plan and judges their answers."""

    def __init__(self, caller: Caller, answers: Answers, outcomes: Outcomes) -> None:
        self._caller = caller
        self._answers = answers
        self._outcomes = outcomes

    @asynccontextmanager
    async def early(self, ask: Ask, hold: OwnedHold) -> AsyncIterator[Early]:
        """What the cheap steps brought; nothing where the decision has no plan.

        When none stood, the decision's chain begins with the strong model from here on.
        """
        early = Early()
        if ask.decision.HasField("plan"):
            await self._cheap(ask, hold, early)
            if early.taken is None:
                _escalate(ask)
        yield early

    async def _cheap(self, ask: Ask, hold: OwnedHold, early: Early) -> None:
        plan = ask.decision.plan
        steps, strong = plan.steps[:-1], plan.steps[-1].candidate
        # Without a baseline, what every call would have gone to is the strong model.
        ask.decision.baseline_model = ask.decision.baseline_model or strong.model
        wanted = wanted_of_prompt(ask.prompt)
        deadline = ask.deadline.sooner(ask.deadline.left_seconds() * CHEAP_TIME_SHARE)
        chains = [Chain([step.candidate], deadline, CHEAP_TRIES_MAX) for step in steps]
        pair = Check.AGREEMENT in _checks(steps[0])
        if steps[0].parallel:
            found = await self._at_once(ask, hold, chains)
        else:
            found = await self._in_turn(ask, hold, (steps, chains, wanted, pair))
        stood = await _standing(steps, found, wanted)
        early.standby = next((b for b, s in zip(found, stood, strict=True) if s and b), None)
        if pair:
            whole = len(found) == len(steps) and all(stood)
            if whole and await _agreeing([each for each in found if each]):
                early.taken = found[0]
            if all(found):
                # Half a pair, because a provider failed, says nothing about its answers.
                self._tell(ask, found, [early.taken is not None] * len(found))
        else:
            early.taken = early.standby
            self._tell(ask, found, stood)
        _explain(ask, early, pair=pair)

    async def _at_once(
        self, ask: Ask, hold: OwnedHold, chains: Sequence[Chain]
    ) -> list[Booked | None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(ask, hold, chain)) for chain in chains]
        return [task.result() for task in tasks]

    async def _in_turn(
        self,
        ask: Ask,
        hold: OwnedHold,
        plan: tuple[Sequence[router_pb.PlanStep], Sequence[Chain], Wanted, bool],
    ) -> list[Booked | None]:
        """Of a pair the second is asked when the first stands; of others, when it does not."""
        steps, chains, wanted, pair = plan
        found: list[Booked | None] = []
        for step, chain in zip(steps, chains, strict=True):
            found.append(await self._one(ask, hold, chain))
            (stood,) = await _standing([step], found[-1:], wanted)
            if stood is not pair:
                break
        return found

    async def _one(self, ask: Ask, hold: OwnedHold, chain: Chain) -> Booked | None:
        """One cheap answer, owed for. None: its provider gave none."""
        try:
            attempt, given = await self._caller.complete(ask, hold, chain)
        except (ProviderFailed, ProviderRefused, DeadlinePassed):
            return None
        return await self._answers.book(ask, hold, attempt, given, extra=True)

    def _tell(self, ask: Ask, found: Sequence[Booked | None], stood: Sequence[bool]) -> None:
        for booked, well in zip(found, stood, strict=True):
            if booked is not None:
                booked.attempt.span.set_attribute(names.PLAN_STOOD, well)
                self._outcomes.checked(ask, booked.entry.model_used, stood=well)


def wanted_of_prompt(prompt: chat_pb2.Prompt) -> Wanted:
    """What the checks hold an answer to."""
    tools = {tool.name: tool.parameters_json for tool in prompt.tools if tool.name}
    return wanted_of(prompt.response_format_json, tools)


def given_of(choices: Sequence[chat_pb2.Choice]) -> Given:
    """The first answer as the checks read it."""
    if not choices:
        return Given("", "")
    message = choices[0].message
    reason = chat_pb2.FinishReason.Name(choices[0].finish_reason)
    return Given(
        text=message.content or "".join(part.text for part in message.parts),
        finish_reason=reason.removeprefix("FINISH_REASON_").lower(),
        refusal=message.refusal,
        calls=[(call.name, call.arguments_json) for call in message.tool_calls],
    )


async def in_worker(judge: Callable[[], JudgedT]) -> JudgedT:
    """Runs a check that may take over a millisecond off the loop."""
    return await asyncio.to_thread(judge)


def _checks(step: router_pb.PlanStep) -> list[Check]:
    return [CHECKS[check] for check in step.checks if check in CHECKS]


async def _standing(
    steps: Sequence[router_pb.PlanStep], found: Sequence[Booked | None], wanted: Wanted
) -> list[bool]:
    """Which answers stand what needs no other answer. No answer stands nothing."""
    givens = [given_of(each.given.choices) if each else None for each in found]

    def judge() -> list[bool]:
        return [
            given is not None and stands(_checks(step), given, wanted)
            for step, given in zip(steps, givens, strict=False)
        ]

    long = is_long([given for given in givens if given], wanted)
    return await in_worker(judge) if long else judge()


async def _agreeing(found: Sequence[Booked]) -> bool:
    givens = [given_of(each.given.choices) for each in found]
    if is_long(givens, Wanted()):
        return await in_worker(lambda: all_agree(givens))
    return all_agree(givens)


def _escalate(ask: Ask) -> None:
    """The decision's chain from here on: the strong model, then what fits into its hold."""
    decision = ask.decision
    strong = decision.plan.steps[-1].candidate
    planned = {step.candidate.model for step in decision.plan.steps}
    room = strong.worst_case_nanos * FALLBACK_DENOMINATOR
    rest = [
        each
        for each in (decision.chosen, *decision.fallbacks)
        if each.model not in planned and each.worst_case_nanos * FALLBACK_NUMERATOR <= room
    ]
    chosen = router_pb.Candidate()
    chosen.CopyFrom(strong)
    kept = [router_pb.Candidate.FromString(each.SerializeToString()) for each in rest]
    decision.chosen.CopyFrom(chosen)
    del decision.fallbacks[:]
    decision.fallbacks.extend(kept)


def _explain(ask: Ask, early: Early, *, pair: bool) -> None:
    plan = ask.decision.plan
    cheap = " and ".join(step.candidate.model for step in plan.steps[:-1])
    strong = plan.steps[-1].candidate.model
    ask.span.set_attribute(names.PLAN_TAKEN, early.taken is not None)
    if early.taken is not None:
        how = "agreed" if pair else "stood its checks"
        who = cheap if pair else early.taken.entry.model_used
        text = f"{who} {how}: {strong} was not asked; {plan.explanation}."
    else:
        how = "did not agree" if pair else "did not stand its checks"
        text = f"{cheap} {how}: {strong} was asked; {plan.explanation}."
    ask.decision.explanation = text
