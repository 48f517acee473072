// A request's waterfall: spans where they are kept, else what the books know of its attempts.
import type { JSX } from "preact";
import { usd } from "../money";
import { Empty, Money } from "../parts/basics";
import type { Entry, Step } from "../types";
import { big, count, ms, word } from "../words";

export interface Told {
  state: "kept" | "gone" | "away" | "off";
  spans: Step[];
}

interface Line {
  key: string;
  depth: number;
  name: string;
  service: string;
  from: number;
  took: number;
  cost?: bigint;
  failed: boolean;
  what: string;
}

const WHY: Record<string, string> = {
  off: "The gateway is not told where spans are kept (SPENDGATE_TRACES_URL): these are the attempts in the books.",
  gone: "Its spans are not kept any more: these are the attempts in the books.",
  away: "Where spans are kept did not answer: these are the attempts in the books.",
};

export function Steps(props: { told: Told; entries: Entry[]; configured: boolean }): JSX.Element {
  const kept = props.told.state === "kept";
  const lines = kept ? ofSpans(props.told.spans) : ofEntries(props.entries);
  const whole = Math.max(...lines.map((line) => line.from + line.took), 0.001);
  if (!lines.length) return <Empty title="No step is known." />;
  return (
    <>
      <div class="scroll" role="region" aria-label="Steps of the request" tabIndex={0}>
        <div class="steps" role="table" aria-label="Steps">
          <div class="head" role="row">
            <span role="columnheader">Step</span>
            <span role="columnheader">When</span>
            <span role="columnheader" class="right">Took</span>
            <span role="columnheader" class="right">Cost</span>
            <span role="columnheader">What</span>
          </div>
          {lines.map((line) => (
            <div key={line.key} role="row">
              <span role="cell" style={{ paddingLeft: `${line.depth * 15}px` }}>
                {line.name} <small>{line.service}</small>
              </span>
              <span role="cell" class="lane">
                <i
                  class={line.failed ? "failed" : line.cost ? "spent" : ""}
                  style={{
                    left: `${(line.from / whole) * 100}%`,
                    width: `${(line.took / whole) * 100}%`,
                  }}
                />
                <span class="hidden">from {ms(line.from)}</span>
              </span>
              <span role="cell" class="right num">{ms(line.took)}</span>
              <span role="cell" class="right num">
                {line.cost !== undefined && <Money nanos={line.cost} />}
              </span>
              <span role="cell">
                <span class={line.failed ? "bad" : "soft"}>{line.what}</span>
              </span>
            </div>
          ))}
        </div>
      </div>
      {!kept && <p class="note">{WHY[props.told.state]}</p>}
    </>
  );
}

function ofSpans(spans: Step[]): Line[] {
  const start = spans.reduce(
    (least, span) => (BigInt(span.start_ns) < least ? BigInt(span.start_ns) : least),
    BigInt(spans[0]!.start_ns),
  );
  const known = new Set(spans.map((span) => span.span_id));
  const children = new Map<string, Step[]>();
  for (const span of spans) {
    const parent = known.has(span.parent_id) ? span.parent_id : "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const lines: Line[] = [];
  const seen = new Set<string>();
  const walk = (parent: string, depth: number) => {
    const next = (children.get(parent) ?? []).sort((a, b) =>
      BigInt(a.start_ns) < BigInt(b.start_ns) ? -1 : 1,
    );
    for (const span of next) {
      if (seen.has(span.span_id)) continue;
      seen.add(span.span_id);
      lines.push(lineOf(span, depth, start));
      walk(span.span_id, depth + 1);
    }
  };
  walk("", 0);
  return lines;
}

const inMs = (nanos: bigint): number => Number(nanos / 1000n) / 1000;

function lineOf(span: Step, depth: number, start: bigint): Line {
  const told = span.attributes;
  const cost = told["spendgate.cost.nano_usd"];
  return {
    key: span.span_id,
    depth,
    name: span.name,
    service: span.service.replace("spendgate-", ""),
    from: inMs(BigInt(span.start_ns) - start),
    took: inMs(BigInt(span.end_ns) - BigInt(span.start_ns)),
    cost: cost === undefined ? undefined : BigInt(cost as number),
    failed: span.failed,
    what: remark(span),
  };
}

const SOURCES: Record<string, string> = {
  PROVIDER: "answered by a provider",
  CACHE_EXACT: "served from the cache",
  CACHE_SEMANTIC: "served from the cache, asked in other words",
  SHARED: "shared with a call under way",
};

function remark({ attributes: told, failed }: Step): string {
  const parts: string[] = [];
  const of = (name: string) => told[name];
  if (failed) parts.push(`failed: ${of("error.type") ?? "unknown"}`);
  const source = of("spendgate.answer.source");
  if (source) {
    const text = SOURCES[String(source)] ?? word(String(source));
    return [...parts, text].join(" · ");
  }
  const outcome = of("spendgate.cache.outcome");
  if (outcome) parts.push(word(String(outcome)));
  const reason = of("spendgate.route.reason");
  if (reason) parts.push(`${of("gen_ai.request.model") ?? ""} ${word(String(reason))}`.trim());
  const read = of("gen_ai.usage.input_tokens");
  const wrote = of("gen_ai.usage.output_tokens");
  if (read !== undefined && wrote !== undefined) {
    parts.push(`read ${count(String(read))}, wrote ${count(String(wrote))}`);
  } else {
    const segments = ["system", "tools", "history", "new"]
      .map((name) => [name, of(`spendgate.tokens.${name}`)])
      .filter(([, value]) => value)
      .map(([name, value]) => `${value} ${name}`);
    if (segments.length) parts.push(`${segments.join(" + ")} tokens`);
  }
  const attempt = Number(of("spendgate.attempt.number") ?? 1);
  if (attempt > 1) parts.push(`attempt ${attempt}`);
  const held = of("spendgate.hold.nano_usd");
  if (held !== undefined && of("spendgate.cost.saved_nano_usd") === undefined) {
    parts.push(`held ${usd(BigInt(held as number))}`);
  }
  return parts.join(" · ");
}

function ofEntries(entries: Entry[]): Line[] {
  let before = 0;
  return entries.map((entry) => {
    const end = Number(entry.attempt.latency_ms);
    const from = Math.min(before, end);
    before = end;
    return {
      key: entry.entry_id,
      depth: 0,
      name: word(entry.attempt.kind, "ENTRY_KIND_"),
      service: entry.attempt.model_used,
      from,
      took: end - from,
      cost: big(entry.cost_nanos),
      failed: entry.attempt.outcome !== "ATTEMPT_OUTCOME_OK",
      what:
        entry.attempt.error_reason ||
        (entry.attempt.usage
          ? `read ${count(entry.attempt.usage.input_tokens)}, wrote ${count(entry.attempt.usage.output_tokens)}`
          : ""),
    };
  });
}
