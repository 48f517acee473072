"""What the books are made of. Money is whole nano-USD, times are microseconds since 1970 UTC.

The enums carry the numbers of the contract, so that converting is a cast.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

MICROS_PER_SECOND = 1_000_000
# The most an int64 holds: about 9.2 billion USD.
NANOS_MAX = 2**63 - 1


class EntryKind(IntEnum):
    """What a booked row is about."""

    CALL = 1
    CACHE_HIT = 2
    SHARED_CALL = 3
    SHADOW = 4


class AttemptOutcome(IntEnum):
    """How an attempt ended."""

    OK = 1
    FAILED = 2
    CANCELLED = 3


class UsageSource(IntEnum):
    """Where the token numbers come from."""

    REPORTED = 1
    COUNTED = 2
    NONE = 3


class SavingCause(IntEnum):
    """What saved money."""

    CACHE = 1
    ROUTING = 2
    COMPRESSION = 3


class HoldState(IntEnum):
    """Where a hold is in its life."""

    PENDING = 1
    SETTLED = 2
    RELEASED = 3
    EXPIRED = 4


class BudgetWindow(IntEnum):
    """How long a budget counts before it starts anew."""

    LIFETIME = 1
    HOUR = 2
    DAY = 3
    WEEK = 4
    MONTH = 5


class KeyRole(IntEnum):
    """What a key may do."""

    CALLER = 1
    ADMIN = 2


class Tokens(NamedTuple):
    """Tokens by bucket, as they were told: maybe impossible. Same names as chat.v1.TokenUsage."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0


NO_TOKENS = Tokens()


class PromptFacts(NamedTuple):
    """What is known of a prompt besides its text: keyed hashes, tokens by segment. "" and 0 where
    nothing was said. Same names as ledger.v1.PromptFacts."""

    prompt_hash: str = ""
    system_hash: str = ""
    near_hash: str = ""
    system_tokens: int = 0
    tools_tokens: int = 0
    history_tokens: int = 0
    new_tokens: int = 0
    output_tokens_max: int = 0


NO_FACTS = PromptFacts()


@dataclass(frozen=True, slots=True)
class Attribution:
    """To whom a call is booked; "" where nothing was said. `tags` are sorted by name."""

    tenant: str
    project: str = ""
    user: str = ""
    key_id: str = ""
    feature: str = ""
    session: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """One step back towards what would have been done without Spendgate."""

    cause: SavingCause
    model: str
    usage: Tokens


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to get an answer, as the gateway saw it."""

    entry_id: str
    kind: EntryKind
    outcome: AttemptOutcome
    attempt_number: int
    model_asked: str
    model_used: str
    provider: str
    usage: Tokens
    usage_source: UsageSource
    counterfactuals: tuple[Counterfactual, ...]
    latency_ms: int
    first_token_ms: int
    error_reason: str
    trace_id: str
    facts: PromptFacts = NO_FACTS


@dataclass(frozen=True, slots=True)
class Saving:
    """Money that one cause saved; negative when it cost more."""

    cause: SavingCause
    saved_nanos: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A booked row. Never changed.

    `owner_id` is what it was booked by: its hold's id, or RECORD_OWNER + entry_id. The lines of
    the owner say which budgets it counts against.
    """

    owner_id: str
    request_id: str
    attribution: Attribution
    attempt: Attempt
    cost_nanos: int
    savings: tuple[Saving, ...]
    counterfactual_nanos: int
    price_version: str
    late: bool
    overage_nanos: int
    book_us: int
    # True on the one row that stands for the request in counts of requests.
    counts_request: bool
    # Of the Record that booked it; "" when a hold was settled or released.
    record_hash: str = ""


RECORD_OWNER = "record/"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what a scope may spend in a window.

    `number` is the books' own name for it: an id can be used again after a deletion.
    """

    number: int
    tenant: str
    budget_id: str
    project: str
    user: str
    key_id: str
    feature: str
    window: BudgetWindow
    limit_nanos: int
    create_us: int
    deleted: bool = False

    def applies_to(self, who: Attribution) -> bool:
        """True when every field that the scope sets is equal."""
        return (
            self.tenant == who.tenant
            and self.project in ("", who.project)
            and self.user in ("", who.user)
            and self.key_id in ("", who.key_id)
            and self.feature in ("", who.feature)
        )


class BalanceKey(NamedTuple):
    """One budget in one of its windows. A lifetime starts at 0."""

    budget_number: int
    window_start_us: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What a budget's window has spent and set aside. `revision` counts its changes."""

    settled_nanos: int = 0
    reserved_nanos: int = 0
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """That an owner (a hold or a record) counts against a budget's window."""

    owner_id: str
    key: BalanceKey
    held_nanos: int


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a budget; negative after an overage."""

    budget_id: str
    left_nanos: int
    limit_nanos: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for a request, and how that ended.

    `reserve_left` and `resolve_left` keep the first answers to the commands whose hashes stand
    beside them, so that a repeat gets the same words.
    """

    hold_id: str
    request_id: str
    attribution: Attribution
    held_nanos: int
    state: HoldState
    create_us: int
    expire_us: int
    reserve_hash: str
    reserve_left: Left | None = None
    resolve_hash: str = ""
    resolve_left: Left | None = None
    resolve_us: int = 0
    lines: tuple[Line, ...] = ()
