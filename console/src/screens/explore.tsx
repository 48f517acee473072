import type { JSX } from "preact";
import { breakdown } from "../api";
import { useAsk } from "../ask";
import { drawn, usdShort } from "../money";
import { Answer, Empty, Money, Select, Share, Sheet } from "../parts/basics";
import { Stack, tickName } from "../parts/chart";
import { Screen } from "../parts/shell";
import { Table, type Column } from "../parts/table";
import { PERIODS, periodOf, ticks, type Period } from "../period";
import { change, href, Link, usePlace } from "../place";
import type { AxisValue, Breakdown, BreakdownRow, Sums, Who } from "../types";
import { big, count, ms, named, percent } from "../words";
import { AXES, axisName, filterQuery, Filters, filtersOf } from "./filters";
import { savedOf } from "./sums";

interface Measure {
  name: string;
  drawn: (sums: Sums) => number;
  format: (value: number) => string;
}
const MEASURES: Record<string, Measure> = {
  spent: { name: "Spent", drawn: (sums) => drawn(big(sums.cost_nanos)), format: usdShort },
  saved: { name: "Saved", drawn: (sums) => drawn(savedOf(sums)), format: usdShort },
  requests: { name: "Requests", drawn: (sums) => Number(sums.request_count), format: count },
  tokens: {
    name: "Tokens",
    drawn: (sums) => Number(sums.input_tokens) + Number(sums.output_tokens),
    format: count,
  },
  errors: { name: "Errors", drawn: (sums) => Number(sums.error_count), format: count },
};
const GROUPS_DRAWN = 5;
const COLOURS = ["--g1", "--g2", "--g3", "--g4", "--g5", "--g6"];

export function Explore(_: { who: Who }): JSX.Element {
  const { query } = usePlace();
  const by = query.get("by") ?? "AXIS_FEATURE";
  const then = query.get("then") ?? "";
  const tag = query.get("tag") ?? "";
  const measure = MEASURES[query.get("measure") ?? "spent"] ?? MEASURES.spent!;
  const chosen = query.get("period") ?? "30d";
  const period = periodOf(chosen);
  const filters = filtersOf(query);
  const axes = then && then !== by ? [by, then] : [by];
  const needsTag = [...axes, ...filters.map((each) => each.axis)].includes("AXIS_TAG");
  const axisOptions = [...AXES, ["AXIS_DAY", "Day"] as [string, string]];
  return (
    <Screen
      title="Explore"
      lead="Who and what the money went to. Every row leads to its requests."
      tools={
        <Select
          label="Period"
          value={chosen}
          options={PERIODS}
          onChange={(value) => change({ period: value })}
        />
      }
    >
      <Sheet>
        <div class="row">
          <label class="field">
            <span>Group by</span>
            <Select label="Group by" value={by} options={axisOptions}
              onChange={(value) => change({ by: value })} />
          </label>
          <label class="field">
            <span>then by</span>
            <Select
              label="Then by"
              value={then}
              options={[["", "nothing more"], ...axisOptions.filter(([axis]) => axis !== by)]}
              onChange={(value) => change({ then: value })}
            />
          </label>
          <label class="field">
            <span>Tag name</span>
            <input
              value={tag}
              placeholder="env"
              aria-label="Tag name"
              onChange={(event) => change({ tag: event.currentTarget.value.trim() })}
            />
          </label>
          <div class="field">
            <span>Draw</span>
            <div class="segments" role="group" aria-label="Draw">
              {Object.entries(MEASURES).map(([key, each]) => (
                <button
                  key={key}
                  type="button"
                  aria-pressed={each === measure}
                  onClick={() => change({ measure: key })}
                >
                  {each.name}
                </button>
              ))}
            </div>
          </div>
        </div>
        <p class="note" />
        <Filters tag={tag} start={period.start} end={period.end} />
      </Sheet>
      {needsTag && !tag ? (
        <Sheet>
          <Empty title="Which tag?">
            Give its name above, as callers send it: <code>env</code>, <code>team</code>,{" "}
            <code>claim.department</code>.
          </Empty>
        </Sheet>
      ) : (
        <Groups {...{ axes, tag: needsTag ? tag : "", filters, measure, period, chosen }} />
      )}
    </Screen>
  );
}

interface GroupsProps {
  axes: string[];
  tag: string;
  filters: AxisValue[];
  measure: Measure;
  period: Period;
  chosen: string;
}

function Groups(props: GroupsProps): JSX.Element {
  const { axes, tag, filters, period } = props;
  const span = {
    start_time: period.start,
    end_time: period.end,
    only: filters,
    ...(tag ? { tag_name: tag } : {}),
  };
  const key = JSON.stringify([axes, filters, tag, props.chosen]);
  const table = useAsk(`table ${key}`, () => breakdown({ ...span, group_by: axes, page_size: 200 }));
  const time = period.hourly ? "AXIS_HOUR" : "AXIS_DAY";
  const first = axes[0] === "AXIS_DAY" ? [] : [axes[0]!];
  const overTime = useAsk(`time ${key}`, () => breakdown({ ...span, group_by: [time, ...first] }));
  return (
    <Answer of={table} rows={8}>
      {(told) =>
        told.rows.length === 0 ? (
          <Sheet>
            <Empty title="Nothing was booked that fits.">
              Remove a filter, or choose a longer period.
            </Empty>
          </Sheet>
        ) : (
          <>
            <Sheet title={`${props.measure.name} by ${period.hourly ? "hour" : "day"}`}>
              <Answer of={overTime} rows={8}>
                {(rows) => <OverTime rows={rows} table={told} {...props} />}
              </Answer>
            </Sheet>
            <Sheet
              note={
                told.behind
                  ? "What was booked in the last moments is not in these sums yet."
                  : undefined
              }
            >
              <GroupTable told={told} {...props} />
            </Sheet>
          </>
        )
      }
    </Answer>
  );
}

function OverTime(props: GroupsProps & { rows: Breakdown; table: Breakdown }): JSX.Element {
  const at = ticks(props.period);
  const index = new Map(at.map((tick, number) => [tick, number]));
  const grouped = props.axes[0] !== "AXIS_DAY";
  const totals = new Map<string, number>();
  for (const row of props.table.rows) {
    const name = grouped ? row.sums.values[0]! : "";
    totals.set(name, (totals.get(name) ?? 0) + props.measure.drawn(row.sums));
  }
  const largest = [...totals].sort((a, b) => b[1] - a[1]).slice(0, GROUPS_DRAWN);
  const shown = new Map(largest.map(([name], number) => [name, number]));
  const values = [...largest.map(() => at.map(() => 0)), at.map(() => 0)];
  for (const { sums } of props.rows.rows) {
    const tick = index.get(sums.values[0]!);
    const group = shown.get(grouped ? sums.values[1]! : "") ?? largest.length;
    if (tick !== undefined) values[group]![tick]! += props.measure.drawn(sums);
  }
  const series = values.map((each, number) => ({
    name: number < largest.length ? (grouped ? named(largest[number]![0]) : "All") : "All others",
    colour: COLOURS[number]!,
    values: each,
  }));
  if (totals.size <= GROUPS_DRAWN) series.pop();
  return (
    <Stack
      label={`${props.measure.name} by ${axisName(props.axes[0]!)}`}
      ticks={at}
      series={series}
      format={props.measure.format}
    />
  );
}

function GroupTable({ told, ...props }: GroupsProps & { told: Breakdown }): JSX.Element {
  const whole = big(told.total?.sums.cost_nanos);
  const columns: Column<BreakdownRow>[] = props.axes.map((axis, at) => ({
    name: axis === "AXIS_TAG" ? `Tag ${props.tag}` : axisName(axis),
    class: "name",
    by: ({ sums }) => sums.values[at]!,
    cell: ({ sums }) => <GroupName axis={axis} value={sums.values[at]!} {...props} />,
  }));
  columns.push(
    {
      name: "Requests", number: true,
      by: ({ sums }) => Number(sums.request_count),
      cell: ({ sums }) => count(sums.request_count),
    },
    {
      name: "Hits", number: true,
      by: ({ sums }) => Number(sums.hit_count) / Math.max(1, Number(sums.request_count)),
      cell: ({ sums }) =>
        Number(sums.request_count)
          ? percent(Number(sums.hit_count) / Number(sums.request_count), 0)
          : "–",
    },
    {
      name: "Errors", number: true,
      by: ({ sums }) => Number(sums.error_count),
      cell: ({ sums }) =>
        Number(sums.error_count) ? (
          <span class="bad">{count(sums.error_count)}</span>
        ) : (
          <span class="soft">0</span>
        ),
    },
    {
      name: "Tokens", number: true,
      by: ({ sums }) => Number(sums.input_tokens) + Number(sums.output_tokens),
      cell: ({ sums }) => count(Number(sums.input_tokens) + Number(sums.output_tokens)),
    },
    {
      name: "p90", number: true,
      by: (row) => Number(row.latency_p90_ms ?? 0),
      cell: (row) => (row.latency_p90_ms ? ms(Number(row.latency_p90_ms)) : "–"),
    },
    { name: "Saved", money: ({ sums }) => savedOf(sums) },
    { name: "Spent", money: ({ sums }) => big(sums.cost_nanos) },
    {
      name: "Share",
      cell: ({ sums }) => <Share of={big(sums.cost_nanos)} whole={whole} />,
    },
    { name: "", class: "nowrap", cell: (row) => <ToRequests row={row} {...props} /> },
  );
  const sums = told.total?.sums;
  return (
    <Table
      label="Groups"
      rows={told.rows}
      columns={columns}
      key_={({ sums: each }) => JSON.stringify(each.values)}
      sort={["Spent", "descending"]}
      foot={
        sums && [
          "All",
          ...props.axes.slice(1).map(() => ""),
          count(sums.request_count),
          percent(Number(sums.hit_count) / Math.max(1, Number(sums.request_count)), 0),
          count(sums.error_count),
          count(Number(sums.input_tokens) + Number(sums.output_tokens)),
          "",
          <Money nanos={savedOf(sums)} />,
          <Money nanos={whole} />,
          "",
          "",
        ]
      }
    />
  );
}

/** A group's name: a click looks into it. */
function GroupName(props: GroupsProps & { axis: string; value: string }): JSX.Element {
  const { axis, value } = props;
  if (axis === "AXIS_DAY") return <>{tickName(value)}</>;
  const filters = props.filters.filter((each) => each.axis !== axis).concat({ axis, value });
  const by = axis === "AXIS_FEATURE" ? "AXIS_MODEL" : "AXIS_FEATURE";
  const query = { by, period: props.chosen, ...filterQuery(filters, props.tag) };
  return <Link to={href("explore", query)}>{named(value)}</Link>;
}

function ToRequests({ row, ...props }: GroupsProps & { row: BreakdownRow }): JSX.Element {
  const own = props.axes
    .map((axis, at) => ({ axis, value: row.sums.values[at]! }))
    .filter(({ axis }) => axis !== "AXIS_DAY");
  const filters = [
    ...props.filters.filter(({ axis }) => !own.some((each) => each.axis === axis)),
    ...own,
  ];
  const days = props.axes.map((axis, at) => (axis === "AXIS_DAY" ? row.sums.values[at]! : ""));
  const day = days.find(Boolean);
  const span: Record<string, string> = day ? { day } : { period: props.chosen };
  return (
    <Link to={href("requests", { ...span, ...filterQuery(filters, props.tag) })}>Requests</Link>
  );
}
