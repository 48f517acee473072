/** Amounts are decimal texts of whole nano-USD, as the wire has them. */
export interface Summary {
  requestId: string;
  traceId: string;
  model: string;
  provider: string;
  source: string;
  routeExplanation: string;
  costNanos: string;
  counterfactualNanos: string;
  latencyMs: string;
  bookingPending: boolean;
  savings: { cause: string; savedNanos: string }[];
}
export interface Message {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content: string;
}
export interface Options {
  model?: string;
  system?: string;
  sampling?: { temperature?: number; topP?: number; outputTokensMax?: number; stop?: string[]; seed?: number };
  feature?: string;
  user?: string;
  project?: string;
  session?: string;
  tags?: Record<string, string>;
  cacheMode?: string;
  costMaxNanos?: string | number;
  deadlineSeconds?: number;
  traceparent?: string;
  signal?: AbortSignal;
}
export interface Answer {
  text: string;
  choices: unknown[];
  summary: Summary;
}
export class Spendgate {
  constructor(address: string, options: { key: string; rootCertificates?: Buffer });
  complete(prompt: string | Message[], options?: Options): Promise<Answer>;
  stream(prompt: string | Message[], options?: Options): AsyncGenerator<{ text: string } | { summary: Summary }>;
  close(): void;
}
export class SpendgateError extends Error {
  code: string;
  reason: string;
  metadata: Record<string, string>;
}
export class KeyInvalid extends SpendgateError {}
export class ModelUnpriced extends SpendgateError {}
export class ProviderRefused extends SpendgateError {}
export class ProviderFailed extends SpendgateError {}
export class ServiceUnavailable extends SpendgateError {}
export class DeadlinePassed extends SpendgateError {}
export class Cancelled extends SpendgateError {}
export class InvalidRequest extends SpendgateError {
  violations: { field: string; description: string }[];
}
export class ModelUnknown extends SpendgateError {
  nearest: string;
}
export class NoCandidate extends SpendgateError {
  excluded: { type: string; subject: string; description: string }[];
}
export class BudgetExceeded extends SpendgateError {
  budgetId: string;
  limitNanos: bigint;
  leftNanos: bigint;
  neededNanos: bigint;
  resetTime: Date | null;
  quota: { subject: string; description: string }[];
}
export class Overloaded extends SpendgateError {
  retryAfterSeconds: number;
}
