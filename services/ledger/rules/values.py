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
    RETRY = 5
    FALLBACK = 6
    HEDGE = 7
    SUMMARY = 8
    EMBEDDING = 9
    BATCH_ITEM = 10
    CORRECTION = 11


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
    ROLLING = 6


class BudgetUnit(IntEnum):
    """What a budget counts."""

    NANO_USD = 1
    TOKENS = 2
    REQUESTS = 3


class BudgetMode(IntEnum):
    """What happens to a request that would break a budget."""

    HARD = 1
    SOFT = 2
    DOWNGRADE = 3
    SHADOW = 4


class EventKind(IntEnum):
    """What happened to a budget that somebody should know of."""

    # A hard limit did not refuse this: the charge went beyond what was held for it.
    OVERAGE = 1
    # A charge came after its hold had lapsed.
    LATE = 2
    # The limit was broken and the request went on, by the budget's mode.
    SOFT = 3
    DOWNGRADED = 4
    SHADOW = 5


class KeyRole(IntEnum):
    """What a key may do."""

    CALLER = 1
    ADMIN = 2
    VIEWER = 3


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
    image_input_tokens: int = 0
    image_output_tokens: int = 0


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
    # What the provider told in all; the buckets add up to it. 0: not told.
    told_input_tokens: int = 0
    told_output_tokens: int = 0
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
    # The moment whose prices it was booked at.
    price_us: int = 0
    # Of the Record that booked it; "" when a hold was settled or released.
    record_hash: str = ""
    # Of a correction: the row whose numbers it changes.
    corrects_id: str = ""


RECORD_OWNER = "record/"


@dataclass(frozen=True, slots=True)
class Scope:
    """The calls that a budget counts: those equal to every field that is set. "" means any.

    `each` are the dimensions (scopes.py) that have a limit for each of their values.
    """

    tenant: str
    project: str = ""
    user: str = ""
    key_id: str = ""
    feature: str = ""
    model: str = ""
    provider: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    each: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what a scope may use in a window.

    `number` is the books' own name for it: an id can be used again after a deletion. Amounts are
    in its unit: nano-USD, tokens or requests. `time_zone` is an IANA name, "" for UTC;
    `rolling_us` is 0 but for a rolling window.
    """

    number: int
    budget_id: str
    scope: Scope
    window: BudgetWindow
    limit_amount: int
    create_us: int
    unit: BudgetUnit = BudgetUnit.NANO_USD
    mode: BudgetMode = BudgetMode.HARD
    time_zone: str = ""
    rolling_us: int = 0
    deleted: bool = False

    @property
    def refuses(self) -> bool:
        """True when nothing may go beyond its limit."""
        return self.mode is BudgetMode.HARD


class BalanceKey(NamedTuple):
    """One budget, for one value of what it has a limit for each of ("" for none), in one of its
    windows. A lifetime starts at 0."""

    budget_number: int
    window_start_us: int
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """What a budget's window has spent and set aside. `revision` counts its changes."""

    settled_amount: int = 0
    reserved_amount: int = 0
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """That an owner (a hold or a record) counts against a budget's window.

    Only rows of `model` and `provider` count ("": any), in `unit`. `freed_amount` is what of a
    lease's was charged or given back already.
    """

    owner_id: str
    key: BalanceKey
    held_amount: int
    unit: BudgetUnit = BudgetUnit.NANO_USD
    model: str = ""
    provider: str = ""
    freed_amount: int = 0

    @property
    def kept_amount(self) -> int:
        """What is set aside as long as the owner is pending."""
        return self.held_amount - self.freed_amount


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a budget, in its unit; negative after an overage."""

    budget_id: str
    left_amount: int
    limit_amount: int
    unit: BudgetUnit = BudgetUnit.NANO_USD


@dataclass(frozen=True, slots=True)
class Notice:
    """That a request breaks a budget which lets it go on. `reset_us` None for a lifetime."""

    budget_id: str
    mode: BudgetMode
    unit: BudgetUnit
    limit_amount: int
    left_amount: int
    needed_amount: int
    reset_us: int | None
    each: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BudgetEvent:
    """What happened to a budget that somebody should know of; told once. `amount` is in the
    budget's unit: how far a charge went beyond, or what was needed."""

    kind: EventKind
    tenant: str
    budget_id: str
    key: BalanceKey
    amount: int
    limit_amount: int
    request_id: str
    event_us: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for a request, and how that ended.

    `reserve_left`, `notices` and `resolve_left` keep the first answers to the commands whose
    hashes stand beside them, so that a repeat gets the same words. A lease is a hold too, one for
    each of its epochs (lease.py); what was admitted under it names both.
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
    notices: tuple[Notice, ...] = ()
    resolve_hash: str = ""
    resolve_left: Left | None = None
    resolve_us: int = 0
    lines: tuple[Line, ...] = ()
    lease_id: str = ""
    lease_epoch: int = 0
