// Filters of Explore and Requests, kept in the address as is.AXIS=value and tag=name.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { breakdown } from "../api";
import { useAsk } from "../ask";
import { Select } from "../parts/basics";
import { change, here } from "../place";
import type { AxisValue } from "../types";
import { named } from "../words";

export const AXES: [string, string][] = [
  ["AXIS_FEATURE", "Feature"],
  ["AXIS_MODEL", "Model"],
  ["AXIS_USER", "User"],
  ["AXIS_KEY", "Key"],
  ["AXIS_PROJECT", "Project"],
  ["AXIS_PROVIDER", "Provider"],
  ["AXIS_TAG", "Tag"],
  ["AXIS_SESSION", "Session"],
  ["AXIS_KIND", "Kind"],
];
export const axisName = (axis: string): string =>
  AXES.find(([name]) => name === axis)?.[1] ?? (axis === "AXIS_DAY" ? "Day" : "Hour");

/** How rows of the books are looked for by an axis. */
export const SEARCH_NAMES: Record<string, string> = {
  AXIS_FEATURE: "feature", AXIS_MODEL: "model", AXIS_USER: "user", AXIS_KEY: "key_id",
  AXIS_PROJECT: "project", AXIS_PROVIDER: "provider", AXIS_SESSION: "session", AXIS_KIND: "kind",
};

export function filtersOf(query: URLSearchParams): AxisValue[] {
  return [...query]
    .filter(([name]) => name.startsWith("is."))
    .map(([name, value]) => ({ axis: name.slice(3), value: value === "(none)" ? "" : value }));
}

/** The same as names that a search takes. */
export function searchOf(query: URLSearchParams): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { axis, value } of filtersOf(query)) {
    const name = axis === "AXIS_TAG" ? `tag:${query.get("tag") ?? ""}` : SEARCH_NAMES[axis];
    if (name) found[name] = value;
  }
  const outcome = query.get("outcome");
  if (outcome) found.outcome = outcome;
  return found;
}

/** As they stand in an address. */
export const filterQuery = (filters: AxisValue[], tag: string): Record<string, string> => ({
  ...Object.fromEntries(filters.map(({ axis, value }) => [`is.${axis}`, value || "(none)"])),
  ...(filters.some(({ axis }) => axis === "AXIS_TAG") ? { tag } : {}),
});

export function Filters(props: { tag: string; start: string; end: string }): JSX.Element {
  const query = here().query;
  const filters = filtersOf(query);
  const [adding, setAdding] = useState(false);
  return (
    <div class="chips" role="group" aria-label="Filters">
      {filters.map(({ axis, value }) => (
        <span class="chip" key={axis}>
          {axis === "AXIS_TAG" ? `Tag ${props.tag}` : axisName(axis)}: {named(value)}
          <button
            type="button"
            aria-label={`Remove the filter on ${axisName(axis)}`}
            onClick={() => change({ [`is.${axis}`]: "" })}
          >
            ✕
          </button>
        </span>
      ))}
      {adding ? (
        <Adding {...props} done={() => setAdding(false)} />
      ) : (
        <button type="button" class="quiet" onClick={() => setAdding(true)}>
          Add a filter
        </button>
      )}
    </div>
  );
}

function Adding(props: {
  tag: string;
  start: string;
  end: string;
  done: () => void;
}): JSX.Element {
  const [axis, setAxis] = useState("AXIS_FEATURE");
  const tagged = axis === "AXIS_TAG";
  const known = useAsk(`values ${axis} ${props.tag} ${props.start}`, async () => {
    if (tagged && !props.tag) return [];
    const told = await breakdown({
      start_time: props.start,
      end_time: props.end,
      group_by: [axis],
      ...(tagged ? { tag_name: props.tag } : {}),
      page_size: 200,
    });
    return told.rows.map((row) => row.sums.values[0]!);
  });
  const values = known.data ?? [];
  return (
    <span class="chips">
      <Select label="Filter by" value={axis} options={AXES} onChange={setAxis} />
      {tagged && !props.tag ? (
        <span class="soft">Name the tag first, beside “Tag name”.</span>
      ) : (
        <Select
          label="Value"
          value=""
          options={[
            ["", known.waiting ? "Loading…" : "Choose…"],
            ...values.map((value) => [value || "(none)", named(value)] as [string, string]),
          ]}
          onChange={(value) => {
            props.done();
            change({ [`is.${axis}`]: value, ...(tagged ? { tag: props.tag } : {}) });
          }}
        />
      )}
      <button type="button" class="quiet" onClick={props.done}>
        Cancel
      </button>
    </span>
  );
}
