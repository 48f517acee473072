// What a refusal carries, as classes that name it.
import grpc from "@grpc/grpc-js";

/** Any refusal. `code` is the gRPC code's name, `reason` the gateway's ErrorReason without prefix. */
export class SpendgateError extends Error {
  constructor(status) {
    super(status.message);
    this.name = this.constructor.name;
    this.code = status.code;
    this.reason = status.reason;
    this.metadata = status.metadata;
  }
}

export class KeyInvalid extends SpendgateError {}
export class ModelUnpriced extends SpendgateError {}
export class ProviderRefused extends SpendgateError {}
export class ProviderFailed extends SpendgateError {}
export class ServiceUnavailable extends SpendgateError {}
export class DeadlinePassed extends SpendgateError {}
export class Cancelled extends SpendgateError {}

/** A field is missing or out of range: `violations` is a list of {field, description}. */
export class InvalidRequest extends SpendgateError {
  constructor(status) {
    super(status);
    this.violations = status.violations;
  }
}

/** `nearest` is a configured model's name that is close, or "". */
export class ModelUnknown extends SpendgateError {
  constructor(status) {
    super(status);
    this.nearest = status.metadata.nearest ?? "";
  }
}

/** No model can do it at the cost allowed: `excluded` is a list of {type, subject, description}. */
export class NoCandidate extends SpendgateError {
  constructor(status) {
    super(status);
    this.excluded = status.preconditions;
  }
}

/** A budget would be broken. Amounts are BigInt nano-USD; `resetTime` is a Date, or null. */
export class BudgetExceeded extends SpendgateError {
  constructor(status) {
    super(status);
    const { budgetId, limitNanos, leftNanos, neededNanos, resetTime } = status.metadata;
    this.budgetId = budgetId ?? "";
    this.limitNanos = BigInt(limitNanos ?? 0);
    this.leftNanos = BigInt(leftNanos ?? 0);
    this.neededNanos = BigInt(neededNanos ?? 0);
    this.resetTime = resetTime ? new Date(resetTime) : null;
    this.quota = status.quota;
  }
}

/** Come back after `retryAfterSeconds`. */
export class Overloaded extends SpendgateError {
  constructor(status) {
    super(status);
    this.retryAfterSeconds = status.retryAfterSeconds;
  }
}

const byReason = {
  KEY_INVALID: KeyInvalid,
  REQUEST_INVALID: InvalidRequest,
  OVERLOADED: Overloaded,
  MODEL_UNKNOWN: ModelUnknown,
  NO_CANDIDATE: NoCandidate,
  MODEL_UNPRICED: ModelUnpriced,
  BUDGET_EXCEEDED: BudgetExceeded,
  PROVIDER_REFUSED: ProviderRefused,
  PROVIDER_FAILED: ProviderFailed,
  SERVICE_UNAVAILABLE: ServiceUnavailable,
  DEADLINE_PASSED: DeadlinePassed,
};
const byCode = { DEADLINE_EXCEEDED: DeadlinePassed, CANCELLED: Cancelled };

/** The typed error for what grpc-js threw; `types` are the loaded google.rpc messages. */
export function typed(error, types) {
  const status = decoded(error, types);
  const known = byReason[status.reason] ?? byCode[status.code] ?? SpendgateError;
  return new known(status);
}

function decoded(error, types) {
  const status = {
    code: grpc.status[error.code] ?? "UNKNOWN",
    message: error.details || error.message,
    reason: "",
    metadata: {},
    violations: [],
    quota: [],
    preconditions: [],
    retryAfterSeconds: 0,
  };
  const [wire] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!wire) return status;
  for (const detail of types.Status.decode(wire).details) {
    const kind = detail.type_url.split("/").pop();
    const value = types[kind]?.decode(detail.value);
    if (kind === "google.rpc.ErrorInfo") Object.assign(status, { reason: value.reason, metadata: value.metadata });
    if (kind === "google.rpc.BadRequest") status.violations = value.fieldViolations.map(({ field, description }) => ({ field, description }));
    if (kind === "google.rpc.QuotaFailure") status.quota = value.violations.map(({ subject, description }) => ({ subject, description }));
    if (kind === "google.rpc.PreconditionFailure") status.preconditions = value.violations.map(({ type, subject, description }) => ({ type, subject, description }));
    if (kind === "google.rpc.RetryInfo") status.retryAfterSeconds = Number(value.retryDelay?.seconds ?? 0) + (value.retryDelay?.nanos ?? 0) / 1e9;
  }
  return status;
}
