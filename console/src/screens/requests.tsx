import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { post, Refused } from "../api";
import { Badge, Empty, Problem, Select, sentence, Sheet, Waiting } from "../parts/basics";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import { PERIODS, periodOf } from "../period";
import { change, go, href, Link, usePlace } from "../place";
import type { Entry, Who } from "../types";
import { big, count, moment, ms, named, word } from "../words";
import { Filters, searchOf } from "./filters";
import { savedOf } from "./sums";

const SHOWN = 50;

interface Found {
  entries: Entry[];
  seen_count: number;
  next_page_token: string;
}

/** Rows of one request, newest first. */
export interface Request {
  id: string;
  rows: Entry[];
}

export function grouped(entries: Entry[]): Request[] {
  const found = new Map<string, Entry[]>();
  for (const entry of entries) {
    const rows = found.get(entry.request_id);
    if (rows) rows.push(entry);
    else found.set(entry.request_id, [entry]);
  }
  return [...found].map(([id, rows]) => ({ id, rows }));
}

export const costOf = (rows: Entry[]): bigint =>
  rows.reduce((all, row) => all + big(row.cost_nanos), 0n);
export const savedIn = (rows: Entry[]): bigint =>
  rows.reduce((all, row) => all + savedOf(row), 0n);
const KINDS: Record<string, [string, string]> = {
  CALL: ["call", ""],
  CACHE_HIT: ["cache hit", "good"],
  SHARED_CALL: ["shared", "good"],
  RETRY: ["retry", "warn"],
  FALLBACK: ["fallback", "warn"],
};

export function KindBadge({ kind }: { kind: string }): JSX.Element {
  const name = kind.replace("ENTRY_KIND_", "");
  const [text, tone] = KINDS[name] ?? [word(name), ""];
  return <Badge kind={tone}>{text}</Badge>;
}

export function Requests(_: { who: Who }): JSX.Element {
  const { query } = usePlace();
  const chosen = query.get("period") ?? "30d";
  const period = periodOf(chosen);
  const day = query.get("day") ?? "";
  const start = day ? `${day}T00:00:00Z` : period.start;
  const end = day
    ? new Date(Date.parse(start) + 86_400_000).toISOString()
    : period.end;
  const only = searchOf(query);
  const [id, setId] = useState("");
  return (
    <Screen
      title="Requests"
      lead="Newest first, as booked. Prompts and answers are not kept here."
      tools={
        <Select
          label="Period"
          value={day ? "day" : chosen}
          options={day ? [["day", day], ...PERIODS] : PERIODS}
          onChange={(value) => change({ period: value, day: "" })}
        />
      }
    >
      <Sheet>
        <div class="row">
          <Filters tag={query.get("tag") ?? ""} start={start} end={end} />
          <Select
            label="Outcome"
            value={query.get("outcome") ?? ""}
            options={[
              ["", "Any outcome"],
              ["ATTEMPT_OUTCOME_OK", "Answered"],
              ["ATTEMPT_OUTCOME_FAILED", "Failed"],
              ["ATTEMPT_OUTCOME_CANCELLED", "Cancelled"],
            ]}
            onChange={(value) => change({ outcome: value })}
          />
          <form
            class="chips"
            onSubmit={(event) => {
              event.preventDefault();
              if (id.trim()) go(href(`request/${encodeURIComponent(id.trim())}`));
            }}
          >
            <input
              aria-label="Request id"
              placeholder="Request id"
              value={id}
              onInput={(event) => setId(event.currentTarget.value)}
            />
            <button type="submit" class="quiet">
              Open
            </button>
          </form>
        </div>
      </Sheet>
      <Sheet>
        <List key={JSON.stringify([only, start, end])} search={{ only, start, end }} />
      </Sheet>
    </Screen>
  );
}

function List(props: {
  search: { only: Record<string, string>; start: string; end: string };
}): JSX.Element {
  const [found, set] = useState<Found>({ entries: [], seen_count: 0, next_page_token: "" });
  const [state, setState] = useState<"busy" | "done" | string>("busy");
  const gone = useRef(false);
  const look = async (before: Found) => {
    setState("busy");
    try {
      const { only, start, end } = props.search;
      const told = await post<Found>("/requests", {
        only,
        start_time: start,
        end_time: end,
        page_token: before.next_page_token,
      });
      if (gone.current) return;
      set({
        entries: before.entries.concat(told.entries),
        seen_count: before.seen_count + told.seen_count,
        next_page_token: told.next_page_token,
      });
      setState("done");
    } catch (error) {
      if (!gone.current) setState(error instanceof Refused ? error.message : String(error));
    }
  };
  useEffect(() => {
    void look(found);
    return () => {
      gone.current = true;
    };
  }, []);
  const [most, setMost] = useState(SHOWN);
  const known = grouped(found.entries);
  const rows = known.slice(0, most);
  if (state !== "busy" && state !== "done") {
    return <Problem text={sentence(state)} again={() => look(found)} />;
  }
  return (
    <>
      {rows.length > 0 && <RequestTable rows={rows} />}
      {state === "busy" && <Waiting rows={5} />}
      {state === "done" && rows.length === 0 && (
        <Empty title={found.next_page_token ? "None among those looked at." : "No request fits."}>
          {count(found.seen_count)} rows were looked at.
        </Empty>
      )}
      {state === "done" && known.length > most && (
        <div class="end">
          <button type="button" class="quiet" onClick={() => setMost(most + SHOWN)}>
            Show more of {count(known.length)}
          </button>
        </div>
      )}
      {state === "done" && known.length <= most && found.next_page_token && (
        <div class="end">
          <button type="button" class="quiet" onClick={() => look(found)}>
            Look further back
          </button>
        </div>
      )}
    </>
  );
}

export function RequestTable({ rows }: { rows: Request[] }): JSX.Element {
  return (
    <Table
      label="Requests"
      rows={rows}
      key_={(row) => row.id}
      rowClass={({ rows: [last] }) => (last!.attempt.outcome.endsWith("OK") ? "" : "failed")}
      columns={[
        {
          name: "When (UTC)", class: "nowrap",
          by: ({ rows: [last] }) => last!.book_time,
          cell: (row) => (
            <Link to={href(`request/${encodeURIComponent(row.id)}`)}>
              {moment(row.rows[0]!.book_time)}
            </Link>
          ),
        },
        { name: "Feature", class: "name", cell: ({ rows: [last] }) => named(last!.attribution.feature) },
        { name: "Model", class: "name", cell: ({ rows: [last] }) => last!.attempt.model_used },
        { name: "User", cell: ({ rows: [last] }) => last!.attribution.user || "–" },
        {
          name: "How",
          class: "nowrap",
          cell: ({ rows: all }) => (
            <>
              <KindBadge kind={all[0]!.attempt.kind} />{" "}
              {!all[0]!.attempt.outcome.endsWith("OK") && (
                <Badge kind="bad">{word(all[0]!.attempt.outcome, "ATTEMPT_OUTCOME_")}</Badge>
              )}
            </>
          ),
        },
        {
          name: "Took", number: true,
          by: ({ rows: all }) => Number(all[0]!.attempt.latency_ms),
          cell: ({ rows: all }) => ms(Number(all[0]!.attempt.latency_ms)),
        },
        { name: "Saved", money: ({ rows: all }) => savedIn(all) },
        { name: "Cost", money: ({ rows: all }) => costOf(all) },
      ]}
    />
  );
}
