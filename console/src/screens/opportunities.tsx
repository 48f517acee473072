import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { rpc } from "../api";
import { useAsk } from "../ask";
import { usd, usdFixed } from "../money";
import { Answer, Copy, Dialog, Empty, Figure, Money, Select, Sheet } from "../parts/basics";
import { Screen } from "../parts/shell";
import { change, href, Link, usePlace } from "../place";
import type { Opportunity, Who } from "../types";
import { big } from "../words";

const TITLES: Record<string, string> = {
  REPEATS: "The same prompt was paid for again",
  NEAR_REPEATS: "Near repeats were paid for",
  STRONG_MODEL: "A strong model for short answers",
  PROMPT_CACHE: "A static prompt read at full price",
  GROWING_CONTEXT: "Conversations grow",
  RETRIES: "Failed and repeated tries",
  OUTPUT_LIMIT: "Far more is held than used",
  BATCH: "Nobody waits for these answers",
  SYSTEM_PROMPT: "Long system prompts",
  USERS: "A few users cost far more",
  NEWER_MODEL: "A newer model is cheaper",
  DEDICATED: "Worth a model of its own",
};
const SPANS: [string, string][] = [
  ["7", "From the last 7 days"],
  ["30", "From the last 30 days"],
  ["90", "From the last 90 days"],
];

interface Told {
  opportunities: Opportunity[];
  cost_nanos: string;
  lacking: string[];
}

export function Opportunities(_: { who: Who }): JSX.Element {
  const { query } = usePlace();
  const days = query.get("days") ?? "30";
  const asked = useAsk(`opportunities ${days}`, () =>
    rpc<Told>("reading/Opportunities", {
      start_time: new Date(Date.now() - Number(days) * 86_400_000).toISOString(),
    }),
  );
  const [open, setOpen] = useState<Opportunity | null>(null);
  return (
    <Screen
      title="Opportunities"
      lead="What could be saved, each with its evidence, an interval, and the setting that does it."
      tools={<Select label="Evidence" value={days} options={SPANS} onChange={(value) => change({ days: value })} />}
    >
      <Answer of={asked} rows={9}>
        {(told) => <List told={told} open={setOpen} />}
      </Answer>
      {open && <Apply of={open} onClose={() => setOpen(null)} />}
    </Screen>
  );
}

function List(props: { told: Told; open: (one: Opportunity) => void }): JSX.Element {
  const { opportunities, cost_nanos, lacking } = props.told;
  if (!opportunities.length) {
    return (
      <Sheet>
        <Empty title={`Nothing was found in ${usd(big(cost_nanos))} of spending.`}>
          {lacking.join(" ")}
        </Empty>
      </Sheet>
    );
  }
  const most = opportunities.reduce(
    (all, each) => (big(each.month_nanos_high) > all ? big(each.month_nanos_high) : all),
    1n,
  );
  const worth = (each: Opportunity) => big(each.month_nanos) * 200n >= big(cost_nanos);
  const large = opportunities.filter(worth);
  const small = opportunities.filter((each) => !worth(each));
  const row = (one: Opportunity) => (
    <Chance key={one.kind + one.subject} one={one} most={most} open={props.open} />
  );
  return (
    <>
      <dl class="figures">
        <Figure name="Spent in the period" value={<Money nanos={big(cost_nanos)} />} />
        <Figure
          name="The largest, a month"
          value={<Money nanos={big(opportunities[0]!.month_nanos)} />}
          more={TITLES[kindOf(opportunities[0]!)] ?? ""}
          tone="good"
        />
        <Figure name="Found" value={String(opportunities.length)} more="they overlap: do not add them up" />
      </dl>
      <Sheet note={lacking.length ? `Not looked for: ${lacking.join(" ")}` : undefined}>
        {large.map(row)}
        {small.length > 0 && (
          <details open={large.length === 0}>
            <summary>{small.length} smaller ones, each under half a percent of the spending</summary>
            {small.map(row)}
          </details>
        )}
      </Sheet>
    </>
  );
}

const kindOf = (one: Opportunity): string => one.kind.replace("OPPORTUNITY_KIND_", "");

function Chance(props: {
  one: Opportunity;
  most: bigint;
  open: (one: Opportunity) => void;
}): JSX.Element {
  const { one: each, most } = props;
  return (
          <div class="chance">
            <div class="worth">
              <b>{usd(big(each.month_nanos))}</b>
              <small class="num">
                a month, {usd(big(each.month_nanos_low))} to {usd(big(each.month_nanos_high))}
              </small>
              <Range one={each} most={most} />
            </div>
            <div>
              <h3>
                {TITLES[kindOf(each)] ?? each.kind}: {each.subject}
              </h3>
              <p>{each.evidence}.</p>
            </div>
            <button
              type="button"
              class="quiet"
              aria-label={`Apply: ${TITLES[kindOf(each)] ?? ""}, ${each.subject}`}
              onClick={() => props.open(each)}
            >
              Apply
            </button>
          </div>
  );
}

function Range({ one, most }: { one: Opportunity; most: bigint }): JSX.Element {
  const at = (nanos: string) => `${Number((big(nanos) * 1000n) / most) / 10}%`;
  const width = Number(((big(one.month_nanos_high) - big(one.month_nanos_low)) * 1000n) / most) / 10;
  return (
    <div class="range" aria-hidden="true">
      <i style={{ left: at(one.month_nanos_low), width: `${Math.max(1, width)}%` }} />
      <u style={{ left: at(one.month_nanos) }} />
    </div>
  );
}

/** What does it: settings are in the fleet file, which the console does not write. */
function Apply({ of, onClose }: { of: Opportunity; onClose: () => void }): JSX.Element {
  const toRouter = ["STRONG_MODEL", "NEWER_MODEL"].includes(kindOf(of));
  const toBudgets = kindOf(of) === "USERS";
  return (
    <Dialog title={`Save ${usdFixed(big(of.month_nanos), 2)} a month`} onClose={onClose} wide>
      <h3>The setting that does it</h3>
      <pre>{of.setting}</pre>
      <div class="actions">
        <Copy text={of.setting} label="Copy the setting" />
        {toRouter && (
          <Link class="button quiet" to={href("router")}>
            To the router
          </Link>
        )}
        {toBudgets && (
          <Link class="button quiet" to={href("budgets")}>
            To the budgets
          </Link>
        )}
      </div>
      <p class="note">
        It goes into the fleet file; <code>spendgate config check</code> says whether it holds, and the gateway takes it at its next start.
      </p>
      <h3>How it was reckoned</h3>
      <p class="note">{of.method}.</p>
      {of.request_ids.length > 0 && (
        <>
          <h3>Requests to look at</h3>
          <ul>
            {of.request_ids.map((id) => (
              <li key={id}>
                <Link to={href(`request/${encodeURIComponent(id)}`)}>
                  <code>{id}</code>
                </Link>
              </li>
            ))}
          </ul>
        </>
      )}
    </Dialog>
  );
}
