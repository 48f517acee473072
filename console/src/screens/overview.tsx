import type { JSX } from "preact";
import { all, breakdown, rpc } from "../api";
import { LIVE_SECONDS, useAsk } from "../ask";
import { drawn, ratio, share, usd, usdShort } from "../money";
import { Answer, Bar, Empty, Figure, Money, Select, Share, Sheet } from "../parts/basics";
import { Stack } from "../parts/chart";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import { PERIODS, periodOf, startOfDay, startOfMonth, ticks, type Period } from "../period";
import { change, href, Link, usePlace } from "../place";
import type { Alert, Breakdown, BreakdownRow, Budget, Who } from "../types";
import { ago, big, CAUSE_CLASS, CAUSES, count, named, percent } from "../words";
import { usedShare } from "./budget-math";
import { savedOf, savingsOf } from "./sums";

const DAY = 86_400_000;
const NO_ROW: BreakdownRow = {
  sums: {
    values: [], request_count: "0", hit_count: "0", error_count: "0", attempt_count: "0",
    input_tokens: "0", output_tokens: "0", cost_nanos: "0", counterfactual_nanos: "0",
    savings: [], latency_mean_ms: "0",
  },
};

interface Now {
  today: BreakdownRow;
  yesterday: BreakdownRow;
  month: BreakdownRow;
  forecast: bigint;
}

/** What the month will come to: what it cost so far, and the rest at the pace of the last 7 days. */
async function present(): Promise<Now> {
  const now = new Date();
  const today = startOfDay(now);
  const monthStart = startOfMonth(now);
  const from = new Date(Math.min(monthStart.getTime(), today.getTime() - 7 * DAY));
  const told = await breakdown({ start_time: from.toISOString(), group_by: ["AXIS_DAY"] });
  const days = new Map(told.rows.map((row) => [row.sums.values[0]!, row]));
  const at = (moment: Date) => days.get(moment.toISOString().slice(0, 10)) ?? NO_ROW;
  let pace = 0n;
  for (let back = 1; back <= 7; back++) {
    pace += big(at(new Date(today.getTime() - back * DAY)).sums.cost_nanos);
  }
  const month = (
    await breakdown({ start_time: monthStart.toISOString(), page_size: 1 })
  ).total;
  const monthEnd = startOfMonth(now, -1).getTime();
  const left = BigInt(Math.max(0, monthEnd - now.getTime()));
  return {
    today: at(today),
    yesterday: at(new Date(today.getTime() - DAY)),
    month: month ?? NO_ROW,
    forecast: big(month?.sums.cost_nanos) + (pace * left) / BigInt(7 * DAY),
  };
}

export function Overview(_: { who: Who }): JSX.Element {
  const { query } = usePlace();
  const chosen = query.get("period") ?? "30d";
  const period = periodOf(chosen);
  const span = { start_time: period.start, end_time: period.end };
  const now = useAsk("now", present, LIVE_SECONDS);
  const series = useAsk(
    `series ${chosen}`,
    () => breakdown({ ...span, group_by: [period.hourly ? "AXIS_HOUR" : "AXIS_DAY"] }),
    LIVE_SECONDS,
  );
  return (
    <Screen
      title="Overview"
      tools={
        <>
          <span class="live">
            <i />
            Live
          </span>
          <Select
            label="Period"
            value={chosen}
            options={PERIODS}
            onChange={(value) => change({ period: value })}
          />
        </>
      }
    >
      <Answer of={now} rows={3}>
        {(told) => <Today told={told} />}
      </Answer>
      <Answer of={series} rows={9}>
        {(told) => <Whole told={told} period={period} />}
      </Answer>
      <div class="grid">
        <Top title="Features" axis="AXIS_FEATURE" name="feature" period={period} chosen={chosen} />
        <Top title="Models" axis="AXIS_MODEL" name="model" period={period} chosen={chosen} />
        <Tightest />
        <LastAlerts />
      </div>
    </Screen>
  );
}

function Today({ told }: { told: Now }): JSX.Element {
  const today = big(told.today.sums.cost_nanos);
  const yesterday = big(told.yesterday.sums.cost_nanos);
  const month = told.month.sums;
  return (
    <dl class="figures">
      <Figure
        name="Spent today"
        value={<Money nanos={today} />}
        more={`${usd(yesterday)} yesterday`}
      />
      <Figure
        name="This month"
        value={<Money nanos={big(month.cost_nanos)} />}
        more={`${count(month.request_count)} requests`}
      />
      <Figure
        name="Month’s end, forecast"
        value={<Money nanos={told.forecast} />}
        more="at the pace of the last 7 days"
      />
      <Figure
        name="Saved this month"
        value={<Money nanos={savedOf(month)} />}
        more={`${share(savedOf(month), big(month.counterfactual_nanos))} of what it would have cost`}
        tone="good"
      />
    </dl>
  );
}

/** The period: what it came to, what it had cost, and how that went on. */
function Whole({ told, period }: { told: Breakdown; period: Period }): JSX.Element {
  const total = (told.total ?? NO_ROW).sums;
  const requests = Number(total.request_count);
  if (!requests) {
    return (
      <Sheet>
        <Empty title={`Nothing was booked: ${period.name.toLowerCase()}.`}>
          Send a first request, and it is here within seconds:
          <pre>spendgate chat "What is the capital of France?"</pre>
        </Empty>
      </Sheet>
    );
  }
  const errors = Number(total.error_count);
  const at = ticks(period);
  const rows = new Map(told.rows.map((row) => [row.sums.values[0]!, row.sums]));
  const of = (pick: (sums: BreakdownRow["sums"]) => bigint) =>
    at.map((tick) => (rows.has(tick) ? drawn(pick(rows.get(tick)!)) : 0));
  const causes = Object.keys(CAUSES).filter((cause) => savingsOf(total, cause) !== 0n);
  return (
    <>
      <dl class="figures">
        <Figure name="Requests" value={count(requests)} more={period.name.toLowerCase()} />
        <Figure
          name="Served by the cache"
          value={percent(Number(total.hit_count) / requests)}
          more={`${count(total.hit_count)} hits`}
        />
        <Figure
          name="Errors"
          value={percent(errors / requests, 2)}
          more={`${count(errors)} without an answer`}
          tone={errors / requests > 0.05 ? "bad" : ""}
        />
        <Figure
          name="A request, on average"
          value={<Money nanos={big(total.cost_nanos) / BigInt(requests)} />}
          more={`${count(BigInt(total.input_tokens) + BigInt(total.output_tokens))} tokens in all`}
        />
      </dl>
      <Sheet title={`What it cost, and what it would have cost · ${period.name.toLowerCase()}`}>
        <Statement sums={total} />
      </Sheet>
      <Sheet title={period.hourly ? "By hour" : "By day"} note="Hours and days are UTC.">
        <Stack
          label={`Spent and saved, ${period.name.toLowerCase()}`}
          ticks={at}
          format={usdShort}
          series={[
            { name: "Spent", colour: "--spent", values: of((sums) => big(sums.cost_nanos)) },
            ...causes.map((cause) => ({
              name: `Saved by ${CAUSES[cause]!.toLowerCase()}`,
              colour: `--${CAUSE_CLASS[cause]}`,
              values: of((sums) => savingsOf(sums, cause)),
            })),
          ]}
        />
      </Sheet>
    </>
  );
}

function Statement({ sums }: { sums: BreakdownRow["sums"] }): JSX.Element {
  const spent = big(sums.cost_nanos);
  const whole = big(sums.counterfactual_nanos);
  const causes = Object.keys(CAUSES)
    .map((cause) => [cause, savingsOf(sums, cause)] as const)
    .filter(([, nanos]) => nanos !== 0n);
  const parts: [string, number][] = [
    ["spent", ratio(spent, whole)],
    ...causes.map(([cause, nanos]) => [CAUSE_CLASS[cause]!, ratio(nanos, whole)] as [string, number]),
  ];
  return (
    <div class="statement">
      <Bar
        parts={parts}
        label={`Spent ${usd(spent)} of the ${usd(whole)} it would have cost without Spendgate`}
      />
      <ul>
        <li>
          <i class="spent" />
          <span>Spent</span>
          <b>
            <Money nanos={spent} />
          </b>
        </li>
        {causes.map(([cause, nanos]) => (
          <li key={cause}>
            <i class={CAUSE_CLASS[cause]} />
            <span>
              {nanos < 0n ? "Cost by" : "Saved by"} {CAUSES[cause]!.toLowerCase()},{" "}
              {share(nanos, whole)}
            </span>
            <b>
              <Money nanos={nanos} />
            </b>
          </li>
        ))}
        <li class="sum">
          <span>Without Spendgate</span>
          <b>
            <Money nanos={whole} />
          </b>
        </li>
      </ul>
    </div>
  );
}

function Top(props: {
  title: string;
  axis: string;
  name: string;
  period: Period;
  chosen: string;
}): JSX.Element {
  const asked = useAsk(
    `top ${props.axis} ${props.chosen}`,
    () =>
      breakdown({
        start_time: props.period.start,
        end_time: props.period.end,
        group_by: [props.axis],
        page_size: 6,
      }),
    LIVE_SECONDS * 2,
  );
  const to = href("explore", { by: props.axis, period: props.chosen });
  return (
    <Sheet class="half" title={props.title} actions={<Link to={to}>Explore</Link>}>
      <Answer of={asked}>
        {(told) => {
          const whole = big(told.total?.sums.cost_nanos);
          return told.rows.length ? (
            <Table
              label={props.title}
              rows={told.rows}
              key_={(row) => row.sums.values[0]!}
              columns={[
                {
                  name: props.title.slice(0, -1),
                  class: "name",
                  cell: ({ sums }) => (
                    <Link
                      to={href("explore", {
                        by: "AXIS_DAY",
                        period: props.chosen,
                        [`is.${props.axis}`]: sums.values[0]!,
                      })}
                    >
                      {named(sums.values[0]!)}
                    </Link>
                  ),
                },
                { name: "Requests", number: true, cell: ({ sums }) => count(sums.request_count) },
                {
                  name: "Saved",
                  number: true,
                  cell: ({ sums }) => share(savedOf(sums), big(sums.counterfactual_nanos)),
                },
                { name: "Spent", money: ({ sums }) => big(sums.cost_nanos) },
                {
                  name: "Share",
                  cell: ({ sums }) => <Share of={big(sums.cost_nanos)} whole={whole} />,
                },
              ]}
            />
          ) : (
            <Empty title="Nothing was booked in this period." />
          );
        }}
      </Answer>
    </Sheet>
  );
}

function Tightest(): JSX.Element {
  const asked = useAsk("budgets", () => all<Budget>("ledger/ListBudgets", "budgets"), 10);
  return (
    <Sheet class="half" title="Budgets" actions={<Link to={href("budgets")}>All budgets</Link>}>
      <Answer of={asked}>
        {(budgets) => {
          const rows = [...budgets].sort((a, b) => usedShare(b) - usedShare(a)).slice(0, 5);
          return rows.length ? (
            <Table
              label="Budgets, most used first"
              rows={rows}
              key_={(row) => row.budget_id}
              columns={[
                { name: "Budget", class: "name", cell: (row) => row.budget_id },
                { name: "Used", number: true, cell: (row) => percent(usedShare(row)) },
                {
                  name: "",
                  cell: (row) => (
                    <Bar
                      parts={[
                        [usedShare(row) >= 1 ? "over" : usedShare(row) > 0.8 ? "near" : "ok",
                          usedShare(row)],
                      ]}
                      label={`${percent(usedShare(row))} used`}
                    />
                  ),
                },
              ]}
            />
          ) : (
            <Empty title="No budget yet.">
              A budget refuses a request before a provider is called.{" "}
              <Link to={href("budgets")}>Make one</Link>
            </Empty>
          );
        }}
      </Answer>
    </Sheet>
  );
}

function LastAlerts(): JSX.Element {
  const asked = useAsk(
    "alerts",
    () => rpc<{ alerts: Alert[] }>("reading/ListAlerts", { page_size: 4 }),
    10,
  );
  return (
    <Sheet class="half" title="Alerts" actions={<Link to={href("alerts")}>All alerts</Link>}>
      <Answer of={asked}>
        {({ alerts }) =>
          alerts.length ? (
            <Table
              label="Alerts, newest first"
              rows={alerts}
              key_={(row) => row.number}
              columns={[
                { name: "What", class: "name", cell: (row) => row.title },
                { name: "When", number: true, cell: (row) => ago(row.event_time) },
              ]}
            />
          ) : (
            <Empty title="Nothing to tell.">
              What is watched stands in the fleet file under <code>alerts</code>.
            </Empty>
          )
        }
      </Answer>
    </Sheet>
  );
}

