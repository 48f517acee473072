// What the fleet answers, as proto3 JSON: 64-bit numbers are decimal text.

export type Whole = string;

export interface Who {
  signed_in: boolean;
  tenant: string;
  key_id: string;
  role: "admin" | "viewer";
  traces: boolean;
}

export interface Sums {
  values: string[];
  request_count: Whole;
  hit_count: Whole;
  error_count: Whole;
  attempt_count: Whole;
  input_tokens: Whole;
  output_tokens: Whole;
  cost_nanos: Whole;
  counterfactual_nanos: Whole;
  savings: { cause: string; saved_nanos: Whole }[];
  latency_mean_ms: Whole;
}

export interface BreakdownRow {
  sums: Sums;
  latency_p50_ms?: Whole;
  latency_p90_ms?: Whole;
  latency_p99_ms?: Whole;
}

export interface Breakdown {
  rows: BreakdownRow[];
  total?: BreakdownRow;
  next_page_token: string;
  behind: boolean;
}

export interface AxisValue {
  axis: string;
  value: string;
}

export interface Usage {
  input_tokens: Whole;
  cached_input_tokens: Whole;
  cache_write_tokens: Whole;
  cache_write_1h_tokens: Whole;
  output_tokens: Whole;
  reasoning_tokens: Whole;
  audio_input_tokens: Whole;
  audio_output_tokens: Whole;
}

export interface Facts {
  system_tokens: Whole;
  tools_tokens: Whole;
  history_tokens: Whole;
  new_tokens: Whole;
  output_tokens_max: Whole;
}

export interface Entry {
  entry_id: string;
  request_id: string;
  attribution: {
    project: string;
    user: string;
    key_id: string;
    feature: string;
    session: string;
    tags: Record<string, string>;
  };
  attempt: {
    kind: string;
    outcome: string;
    attempt_number: number;
    model_asked: string;
    model_used: string;
    provider: string;
    usage?: Usage;
    usage_source: string;
    counterfactuals: { cause: string; model: string; usage?: Usage }[];
    latency_ms: Whole;
    first_token_ms: Whole;
    error_reason: string;
    trace_id: string;
    facts?: Facts;
  };
  cost_nanos: Whole;
  savings: { cause: string; saved_nanos: Whole }[];
  counterfactual_nanos: Whole;
  price_version: string;
  late: boolean;
  overage_nanos: Whole;
  book_time: string;
}

export interface Step {
  span_id: string;
  parent_id: string;
  name: string;
  service: string;
  start_ns: string;
  end_ns: string;
  failed: boolean;
  attributes: Record<string, string | number | boolean>;
}

export interface Scope {
  tenant?: string;
  project?: string;
  user?: string;
  key_id?: string;
  feature?: string;
  model?: string;
  provider?: string;
  tags?: Record<string, string>;
  each?: string[];
}

export interface Budget {
  budget_id: string;
  scope: Scope;
  window: string;
  unit: string;
  mode: string;
  time_zone: string;
  rolling?: string;
  limit_amount: Whole;
  settled_amount: Whole;
  reserved_amount: Whole;
  broken_count: Whole;
  window_start_time?: string;
  window_end_time?: string;
  values: { each: Record<string, string>; settled_amount: Whole; reserved_amount: Whole }[];
}

export interface Key {
  key_id: string;
  project: string;
  user: string;
  feature: string;
  role: string;
  hint: string;
  create_time?: string;
  expire_time?: string;
  disable_time?: string;
  previous_expire_time?: string;
  allowed_models: string[];
  limits?: { requests_per_minute: Whole; tokens_per_minute: Whole; parallel_calls_max: Whole };
  tags: Record<string, string>;
}

export interface StatsRow {
  feature: string;
  model: string;
  lookup_count: Whole;
  exact_hit_count: Whole;
  semantic_hit_count: Whole;
  not_cacheable_count: Whole;
  bypassed_count: Whole;
  stored_count: Whole;
  wrong_hit_count: Whole;
  saved_nanos: Whole;
  saved_tokens: Whole;
  hit_age_seconds_mean?: Whole;
}

export interface Stats {
  total?: StatsRow;
  rows: StatsRow[];
  entry_count?: Whole;
  ttl_advices: {
    feature: string;
    hit_count: Whole;
    stale_count: Whole;
    reuse_seconds: Whole;
    ttl_seconds: Whole;
  }[];
}

export interface Finding {
  outcome: string;
  similarity?: number;
  p_same?: number;
  entry_key: string;
  store_time?: string;
  answer?: { model: string; cost_nanos?: Whole };
  explanation?: {
    candidates: { entry_key: string; similarity: number; p_same?: number; refused_by: string }[];
    skipped: string;
    screened_out: boolean;
    similarity_min: number;
    decision: string;
    stricter: number;
  };
}

export interface Price {
  input_picos: Whole;
  cached_input_picos: Whole;
  cache_write_picos: Whole;
  cache_write_1h_picos: Whole;
  output_picos: Whole;
  audio_input_picos: Whole;
  audio_output_picos: Whole;
  price_version: string;
  start_time?: string;
}

export interface Model {
  model: string;
  provider: string;
  upstream_model: string;
  capabilities: string[];
  context_window_tokens: Whole;
  output_tokens_max: Whole;
  price_status: string;
  price?: Price;
  aliases: string[];
  routable: boolean;
}

export interface CurvePoint {
  quality_percent_min: number;
  quality: number;
  quality_low: number;
  quality_high: number;
  cost_nanos: Whole;
}

export interface RouterSummary {
  calls: Whole;
  spent_nanos: Whole;
  baseline_nanos: Whole;
  baseline_low_nanos: Whole;
  baseline_high_nanos: Whole;
  baseline_model: string;
  quality?: number;
  quality_low?: number;
  quality_high?: number;
  labels: Whole;
  models: {
    model: string;
    calls: Whole;
    spent_nanos: Whole;
    error_share: number;
    rate_limited_share: number;
    latency_ms: Whole;
    quality?: number;
    quality_low?: number;
    quality_high?: number;
    labels: Whole;
    best_probability?: number;
  }[];
  verdict: string;
  curve: CurvePoint[];
  curve_baseline?: CurvePoint;
  curve_prompts: Whole;
  quality_percent_min: number;
  policy_version: number;
}

export interface Candidate {
  model: string;
  provider: string;
  expected_cost_nanos?: Whole;
  worst_case_nanos?: Whole;
  output_tokens_max: Whole;
  price_version: string;
}

export interface Explained {
  decision?: {
    chosen?: Candidate;
    fallbacks: Candidate[];
    reason: string;
    explanation: string;
    exclusions: { model: string; reason: string; detail: string }[];
    baseline_model: string;
  };
  prospects: {
    candidate?: Candidate;
    quality?: number;
    quality_low?: number;
    own_share: number;
  }[];
  need: number;
  features: { name: string; deviation: number }[];
  policy: string;
  baseline_cost_nanos?: Whole;
  labels: Whole;
}

export interface Proposal {
  proposal_id: string;
  expected?: CurvePoint;
  present?: CurvePoint;
  baseline?: CurvePoint;
  prompts: Whole;
  policy_version: number;
}

export interface Opportunity {
  kind: string;
  subject: string;
  month_nanos: Whole;
  month_nanos_low: Whole;
  month_nanos_high: Whole;
  evidence: string;
  request_ids: string[];
  setting: string;
  method: string;
}

export interface Alert {
  number: Whole;
  kind: string;
  title: string;
  reason: string;
  observed: Whole;
  threshold: Whole;
  subject: Record<string, string>;
  event_time?: string;
  create_time?: string;
  deliveries: { webhook: string; state: string; try_count: number; last_problem: string }[];
}
