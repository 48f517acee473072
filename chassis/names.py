"""Every name that spans and metrics carry, in one place.

RPC names follow the OpenTelemetry RPC conventions v1.44, GenAI names those of the
semantic-conventions-genai repository; what no convention covers has the `spendgate.` prefix.
"""

from typing import Final

# RPC conventions.
RPC_SYSTEM_NAME: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS_CODE: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
RPC_SERVER_DURATION: Final = "rpc.server.call.duration"
RPC_CLIENT_DURATION: Final = "rpc.client.call.duration"
LOOP_LAG: Final = "spendgate.loop.lag"

# GenAI conventions.
GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
# Content: on an event of its own, and only for tenants that opted in.
CONTENT_EVENT: Final = "gen_ai.client.inference.operation.details"
GEN_AI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
# No convention has a cost yet; this is the name that back ends already query (USD, double).
GEN_AI_COST: Final = "gen_ai.usage.cost"
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105  # tokens of text

# Ours.
TENANT: Final = "spendgate.tenant"
PROJECT: Final = "spendgate.project"
FEATURE: Final = "spendgate.feature"
REQUEST_ID: Final = "spendgate.request_id"
BATCH_ID: Final = "spendgate.batch.id"
BATCH_CHUNK: Final = "spendgate.batch.chunk"
BATCH_ITEMS: Final = "spendgate.batch.items"
COST_NANO_USD: Final = "spendgate.cost.nano_usd"
COST_USD: Final = "spendgate.cost.usd"
# Trace stores find tags by equality: a request carries each of these that is true of it.
COST_OVER_NANO_USD: Final = (
    ("spendgate.cost.over_usd_0_001", 1_000_000),
    ("spendgate.cost.over_usd_0_01", 10_000_000),
    ("spendgate.cost.over_usd_0_10", 100_000_000),
    ("spendgate.cost.over_usd_0_50", 500_000_000),
    ("spendgate.cost.over_usd_5", 5_000_000_000),
)
SIMILARITY_UNDER: Final = (
    ("spendgate.cache.similarity_under_0_80", 0.80),
    ("spendgate.cache.similarity_under_0_90", 0.90),
    ("spendgate.cache.similarity_under_0_95", 0.95),
    ("spendgate.cache.similarity_under_0_98", 0.98),
)
SAVED_NANO_USD: Final = "spendgate.cost.saved_nano_usd"
COUNTERFACTUAL_NANO_USD: Final = "spendgate.cost.counterfactual_nano_usd"
HELD_NANO_USD: Final = "spendgate.hold.nano_usd"
LEASED: Final = "spendgate.hold.leased"
PRICE_VERSION: Final = "spendgate.price.version"
BUDGET_ID: Final = "spendgate.budget.id"
BUDGET_LEFT_NANO_USD: Final = "spendgate.budget.left_nano_usd"
CACHE_OUTCOME: Final = "spendgate.cache.outcome"
CACHE_SIMILARITY: Final = "spendgate.cache.similarity"
CACHE_REFUSED_BY: Final = "spendgate.cache.refused_by"
CACHE_TTL_SECONDS: Final = "spendgate.cache.ttl_seconds"
ROUTE_REASON: Final = "spendgate.route.reason"
ROUTE_EXPECTED_NANO_USD: Final = "spendgate.route.expected_nano_usd"
ROUTE_WORST_CASE_NANO_USD: Final = "spendgate.route.worst_case_nano_usd"
ANSWER_SOURCE: Final = "spendgate.answer.source"
PLAN_TAKEN: Final = "spendgate.plan.taken"
PLAN_STOOD: Final = "spendgate.plan.stood"
ATTEMPT_NUMBER: Final = "spendgate.attempt.number"
ATTEMPT_COUNT: Final = "spendgate.attempt.count"
COUNT_METHOD: Final = "spendgate.tokens.method"
TOKENS_SYSTEM: Final = "spendgate.tokens.system"
TOKENS_TOOLS: Final = "spendgate.tokens.tools"
TOKENS_HISTORY: Final = "spendgate.tokens.history"
TOKENS_NEW: Final = "spendgate.tokens.new"
SAVING_CAUSE: Final = "spendgate.saving.cause"
HOP: Final = "spendgate.hop"
VERDICT: Final = "spendgate.verdict"

# Metrics of the door.
METRIC_REQUESTS: Final = "spendgate.requests"
METRIC_FAILURES: Final = "spendgate.requests.failed"
METRIC_IN_FLIGHT: Final = "spendgate.requests.in_flight"
METRIC_SHED: Final = "spendgate.requests.shed"
METRIC_WORK_LIMIT: Final = "spendgate.requests.work_limit"
METRIC_ADMISSION_WAIT: Final = "spendgate.request.admission_wait"
METRIC_COST: Final = "spendgate.cost.nano_usd"
METRIC_SAVED: Final = "spendgate.saved.nano_usd"
METRIC_TOKENS: Final = "spendgate.tokens"
METRIC_DURATION: Final = "spendgate.request.duration"
METRIC_FIRST_TOKEN: Final = "spendgate.request.time_to_first_token"  # noqa: S105  # as above
METRIC_BUDGET_LEFT: Final = "spendgate.budget.left_nano_usd"
METRIC_BUDGET_USED: Final = "spendgate.budget.used"
METRIC_RETRIES: Final = "spendgate.provider.retries"
METRIC_RETRIES_REFUSED: Final = "spendgate.provider.retries.refused"
METRIC_BREAKER_OPENED: Final = "spendgate.provider.breaker.opened"
METRIC_BREAKER_SKIPPED: Final = "spendgate.provider.breaker.skipped"
METRIC_BREAKER_OPEN: Final = "spendgate.provider.breaker.open"
METRIC_COOLDOWNS: Final = "spendgate.provider.cooldowns"
METRIC_STREAMS_CUT: Final = "spendgate.streams.cut"
METRIC_FILE_READS: Final = "spendgate.fleet_file.reads"
METRIC_FILE_BAD: Final = "spendgate.fleet_file.bad"
METRIC_HOLDS: Final = "spendgate.holds"
METRIC_HELD: Final = "spendgate.holds.nano_usd"
METRIC_HOP_WAITING: Final = "spendgate.hop.waiting"
METRIC_HIT_REPORTS: Final = "spendgate.cache.hit_reports"
METRIC_OUTBOX_WAITING: Final = "spendgate.outbox.waiting"
METRIC_OUTBOX_OLDEST: Final = "spendgate.outbox.oldest"
METRIC_OUTBOX_PARKED: Final = "spendgate.outbox.parked"

# What a call inside a fleet takes, and what a provider takes, in one scale.
DURATION_BOUNDARIES_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
TOKENS_REMOVED: Final = "spendgate.tokens.removed"
SUMMARY_NANO_USD: Final = "spendgate.cost.summary_nano_usd"
CONTEXT_DECISION: Final = "spendgate.context.decision"
# Events of the root span, and what they carry.
EVENT_BREAKER_SKIPPED: Final = "spendgate.breaker.skipped"
EVENT_BREAKER_OPENED: Final = "spendgate.breaker.opened"
EVENT_RETRIES_USED_UP: Final = "spendgate.retries.used_up"
EVENT_HEDGED: Final = "spendgate.hedged"
EVENT_TOO_LONG: Final = "spendgate.context.too_long"
EVENT_STREAM_CUT: Final = "spendgate.stream.cut"
RETRY_KIND: Final = "spendgate.retry.kind"
DEPLOYMENT: Final = "spendgate.deployment"
OUTCOME: Final = "spendgate.outcome"
