import type { JSX } from "preact";
import { get } from "../api";
import { useAsk } from "../ask";
import { usd } from "../money";
import { Answer, Bar, Copy, Empty, Figure, Money, Sheet } from "../parts/basics";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import { href, Link } from "../place";
import type { Entry, Step, Usage, Who } from "../types";
import { big, CAUSES, count, moment, ms, named, word } from "../words";
import { costOf, KindBadge, savedIn } from "./requests";
import { Steps, type Told } from "./steps";

export function OneRequest({ id, who }: { id: string; who: Who }): JSX.Element {
  const path = `/requests/${encodeURIComponent(id)}`;
  const asked = useAsk(path, () => get<{ entries: Entry[] }>(path));
  return (
    <Screen
      title="Request"
      lead={
        <>
          <code>{id}</code> <Copy text={id} />
        </>
      }
    >
      <Answer of={asked} rows={8}>
        {({ entries }) =>
          entries.length ? (
            <Whole id={id} entries={entries} traces={who.traces} />
          ) : (
            <Sheet>
              <Empty title="No request of this id is in your books.">
                <Link to={href("requests")}>To the requests</Link>
              </Empty>
            </Sheet>
          )
        }
      </Answer>
    </Screen>
  );
}

function Whole(props: { id: string; entries: Entry[]; traces: boolean }): JSX.Element {
  const { entries } = props;
  const path = `/requests/${encodeURIComponent(props.id)}/trace`;
  const trace = useAsk(path, () => get<{ state: string; spans: Step[] }>(path));
  const last = entries[entries.length - 1]!;
  const cost = costOf(entries);
  const saved = savedIn(entries);
  const spans = trace.data?.spans ?? [];
  return (
    <>
      <dl class="figures">
        <Figure name="Cost" value={<Money nanos={cost} />} more={last.price_version || "nothing billed"} />
        <Figure name="Saved" value={<Money nanos={saved} />} more={causes(entries)} tone="good" />
        <Figure
          name="Took"
          value={ms(Number(last.attempt.latency_ms))}
          more={
            Number(last.attempt.first_token_ms)
              ? `first token after ${ms(Number(last.attempt.first_token_ms))}`
              : "from arrival to the end of the answer"
          }
        />
        <Figure
          name="Model"
          value={<span class="model">{last.attempt.model_used}</span>}
          more={
            last.attempt.model_asked === last.attempt.model_used
              ? "as asked"
              : `asked for ${last.attempt.model_asked}`
          }
        />
      </dl>
      <Sheet title="Step by step">
        <Answer of={trace} rows={6}>
          {(told) => <Steps told={told as Told} entries={entries} configured={props.traces} />}
        </Answer>
      </Sheet>
      <div class="grid">
        <Sheet class="half" title="Why this model">
          <Route spans={spans} last={last} />
        </Sheet>
        <Sheet class="half" title="What the cache did">
          <CacheSaid spans={spans} last={last} />
        </Sheet>
        <Sheet class="half" title="Tokens by bucket">
          <Tokens last={last} />
        </Sheet>
        <Sheet class="half" title="Booked to">
          <Who_ last={last} />
        </Sheet>
      </div>
      <Sheet title="Rows in the books">
        <Rows entries={entries} />
      </Sheet>
      <Sheet title="Prompt and answer">
        <Empty title="Content is not captured.">
          The books keep what a request cost and why, not what was said.
        </Empty>
      </Sheet>
    </>
  );
}

function causes(entries: Entry[]): string {
  const found = new Map<string, bigint>();
  for (const entry of entries) {
    for (const { cause, saved_nanos } of entry.savings) {
      found.set(cause, (found.get(cause) ?? 0n) + big(saved_nanos));
    }
  }
  const said = [...found]
    .filter(([, nanos]) => nanos)
    .map(([cause, nanos]) => `${usd(nanos)} by ${(CAUSES[cause] ?? cause).toLowerCase()}`);
  return said.join(", ") || "nothing was saved on this one";
}

const said = (spans: Step[], name: string): string | undefined => {
  const found = spans.find((span) => name in span.attributes)?.attributes[name];
  return found === undefined ? undefined : String(found);
};

function Route({ spans, last }: { spans: Step[]; last: Entry }): JSX.Element {
  const reason = said(spans, "spendgate.route.reason");
  const expected = said(spans, "spendgate.route.expected_nano_usd");
  const worst = said(spans, "spendgate.route.worst_case_nano_usd");
  const steps = last.attempt.counterfactuals;
  const baseline = steps.find((step) => step.cause === "SAVING_CAUSE_ROUTING")?.model;
  return (
    <div class="explained">
      <p>
        {last.attempt.model_asked === "auto" ? (
          <>
            The caller left the choice to the router; it took <b>{last.attempt.model_used}</b>
            {reason && <>: {word(reason)}</>}.
          </>
        ) : (
          <>
            The caller named <b>{last.attempt.model_asked}</b>
            {last.attempt.model_used !== last.attempt.model_asked && (
              <>, and {last.attempt.model_used} answered</>
            )}
            .
          </>
        )}
      </p>
      <dl class="pairs">
        {expected && (
          <>
            <dt>Expected cost</dt>
            <dd><Money nanos={big(expected)} /></dd>
          </>
        )}
        {worst && (
          <>
            <dt>At the very most</dt>
            <dd><Money nanos={big(worst)} /></dd>
          </>
        )}
        {baseline && (
          <>
            <dt>Without routing</dt>
            <dd>{baseline}, for <Money nanos={big(last.counterfactual_nanos)} /></dd>
          </>
        )}
      </dl>
    </div>
  );
}

const OUTCOMES: Record<string, string> = {
  MISS: "No answer was kept for this prompt, so the model was called.",
  EXACT: "The very same prompt was answered before: that answer was served.",
  SEMANTIC: "A prompt that asks for the same was answered before, and the judge agreed.",
  NOT_CACHEABLE: "The request’s sampling is not deterministic, so the cache stayed out of it.",
  BYPASSED: "The cache’s store did not answer in time; the request went on without it.",
};

function CacheSaid({ spans, last }: { spans: Step[]; last: Entry }): JSX.Element {
  const told = said(spans, "spendgate.cache.outcome");
  const kind = last.attempt.kind;
  const outcome = told ?? (kind === "ENTRY_KIND_CACHE_HIT" ? "HIT" : "");
  const likeness = said(spans, "spendgate.cache.similarity");
  const refused = said(spans, "spendgate.cache.refused_by");
  const text =
    OUTCOMES[outcome.replace("OUTCOME_", "").toUpperCase()] ??
    (kind === "ENTRY_KIND_CACHE_HIT"
      ? "The cache had the answer."
      : kind === "ENTRY_KIND_SHARED_CALL"
        ? "An equal request was under way; its answer was shared."
        : "The books say only that a model was called.");
  return (
    <div class="explained">
      <p>{text}</p>
      <dl class="pairs">
        {likeness && (
          <>
            <dt>Likeness</dt>
            <dd class="num">{Number(likeness).toFixed(4)}</dd>
          </>
        )}
        {refused && (
          <>
            <dt>The nearest was refused by</dt>
            <dd>{refused}</dd>
          </>
        )}
      </dl>
    </div>
  );
}

const BUCKETS: [keyof Usage, string][] = [
  ["input_tokens", "Read"],
  ["cached_input_tokens", "Read from the provider’s cache"],
  ["cache_write_tokens", "Written to the provider’s cache"],
  ["cache_write_1h_tokens", "Written there for an hour"],
  ["audio_input_tokens", "Sound read"],
  ["output_tokens", "Written"],
  ["reasoning_tokens", "Reasoning"],
  ["audio_output_tokens", "Sound written"],
];

function Tokens({ last }: { last: Entry }): JSX.Element {
  const own = last.attempt.usage;
  const hit = !own || BUCKETS.every(([name]) => big(own[name]) === 0n);
  const usage = hit ? last.attempt.counterfactuals[0]?.usage : own;
  const rows = BUCKETS.filter(([name]) => usage && big(usage[name]) > 0n);
  const most = Math.max(1, ...rows.map(([name]) => Number(usage![name])));
  const facts = last.attempt.facts;
  const parts = (
    [["system", facts?.system_tokens], ["tools", facts?.tools_tokens],
      ["history", facts?.history_tokens], ["new", facts?.new_tokens]] as const
  ).filter(([, value]) => big(value) > 0n);
  if (!rows.length) return <Empty title="No tokens were used." />;
  return (
    <>
      <Table
        label="Tokens by bucket"
        rows={rows}
        key_={([name]) => name}
        columns={[
          { name: "Bucket", cell: ([, text]) => text },
          { name: "Tokens", number: true, cell: ([name]) => count(usage![name]) },
          {
            name: "",
            cell: ([name]) => (
              <Bar parts={[["routing", Number(usage![name]) / most]]} label={`${count(usage![name])} tokens`} />
            ),
          },
        ]}
      />
      <p class="note">
        {hit && "Those of the answer when it was paid for; this request used none. "}
        {last.attempt.usage_source === "USAGE_SOURCE_COUNTED" && "Counted here: the provider told none. "}
        {parts.length > 0 &&
          `The prompt: ${parts.map(([name, value]) => `${count(value)} ${name}`).join(" + ")}.`}
      </p>
    </>
  );
}

function Who_({ last }: { last: Entry }): JSX.Element {
  const { attribution } = last;
  const pairs: [string, string][] = [
    ["Feature", attribution.feature],
    ["User", attribution.user],
    ["Project", attribution.project],
    ["Key", attribution.key_id],
    ["Session", attribution.session],
    ...Object.entries(attribution.tags).map(([tag, value]) => [`Tag ${tag}`, value] as [string, string]),
    ["Trace", last.attempt.trace_id],
  ];
  return (
    <dl class="pairs">
      {pairs.map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd class={name === "Trace" ? "mono" : ""}>{named(value)}</dd>
        </>
      ))}
    </dl>
  );
}

function Rows({ entries }: { entries: Entry[] }): JSX.Element {
  return (
    <Table
      label="Rows in the books, oldest first"
      rows={entries}
      key_={(row) => row.entry_id}
      columns={[
        { name: "Booked (UTC)", class: "nowrap", cell: (row) => moment(row.book_time) },
        { name: "What", class: "nowrap", cell: (row) => <KindBadge kind={row.attempt.kind} /> },
        { name: "Model", class: "name", cell: (row) => row.attempt.model_used },
        {
          name: "Outcome",
          cell: (row) =>
            word(row.attempt.outcome, "ATTEMPT_OUTCOME_") +
            (row.attempt.error_reason ? `: ${row.attempt.error_reason}` : ""),
        },
        { name: "Took", number: true, cell: (row) => ms(Number(row.attempt.latency_ms)) },
        { name: "Had cost", money: (row) => big(row.counterfactual_nanos) },
        { name: "Charged", money: (row) => big(row.cost_nanos) },
      ]}
    />
  );
}
