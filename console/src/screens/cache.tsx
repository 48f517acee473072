import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { all, post, rpc } from "../api";
import { LIVE_SECONDS, useAsk } from "../ask";
import { usd } from "../money";
import { Answer, Badge, Empty, Field, Figure, Money, Problem, Select, Sheet, say, why } from "../parts/basics";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import type { Finding, Model, Stats, StatsRow, Who } from "../types";
import { big, count, moment, named, percent, word } from "../words";
import { TryPrompt } from "./prompt";
import { wrongAtMost } from "./wilson";

// Fewer say nothing of a share this small.
const HITS_TO_TELL = 30;

const hitsOf = (row: StatsRow): number =>
  Number(row.exact_hit_count) + Number(row.semantic_hit_count);

export function Cache({ who }: { who: Who }): JSX.Element {
  const asked = useAsk("stats", () => rpc<Stats>("cache/Stats"), LIVE_SECONDS);
  const models = useAsk("models", () => all<Model>("router/ListModels", "models"));
  const names = (models.data ?? []).map((model) => model.model);
  return (
    <Screen title="Cache" lead="Answers that were paid for already, over the last 30 days. A tenant’s answers are its own.">
      <Answer of={asked} rows={8}>
        {(stats) => <Counted stats={stats} admin={who.role === "admin"} again={asked.again} />}
      </Answer>
      <div class="grid">
        <Sheet class="wide" title="What would the cache do?" note="Nothing is counted, and no answer is shown.">
          <TryPrompt
            button="Look it up"
            models={names}
            ask={(text, model) =>
              post<Finding>("/cache/try", {
                model,
                mode: "LOOKUP_MODE_SEMANTIC",
                prompt: {
                  messages: [{ role: "ROLE_USER", content: text }],
                  sampling: { temperature: 0 },
                },
              })
            }
          >
            {(found) => <Found found={found} />}
          </TryPrompt>
        </Sheet>
        <Sheet class="third" title="Report a wrong hit">
          {who.role === "admin" ? <Report /> : <Empty title="Takes an admin key." />}
        </Sheet>
      </div>
    </Screen>
  );
}

function Counted(props: { stats: Stats; admin: boolean; again: () => void }): JSX.Element {
  const { stats } = props;
  const total = stats.total;
  const hits = total ? hitsOf(total) : 0;
  if (!total || !Number(total.lookup_count)) {
    return (
      <Sheet>
        <Empty title="Nothing was looked up yet.">
          Requests at temperature 0 are looked up by themselves; others with{" "}
          <code>x-spendgate-cache: exact</code>.
        </Empty>
      </Sheet>
    );
  }
  const wrong = Number(total.wrong_hit_count);
  return (
    <>
      <dl class="figures">
        <Figure
          name="Hit rate"
          value={percent(hits / Math.max(1, Number(total.lookup_count)))}
          more={`${count(hits)} of ${count(total.lookup_count)} look-ups`}
        />
        <Figure
          name="Precision of hits"
          value={hits ? percent(1 - wrong / hits, 2) : "–"}
          more={`${count(wrong)} reported wrong; ${
            hits < HITS_TO_TELL
              ? `${count(hits)} hits are too few to tell`
              : `at most ${percent(wrongAtMost(wrong, hits))} are, 19 times in 20`
          }`}
          tone={wrong ? "bad" : ""}
        />
        <Figure
          name="Saved"
          value={<Money nanos={big(total.saved_nanos)} />}
          more={`${count(total.saved_tokens)} tokens not bought again`}
          tone="good"
        />
        <Figure
          name="Answers kept"
          value={stats.entry_count === undefined ? "–" : count(stats.entry_count)}
          more={`${count(total.stored_count)} were stored`}
        />
      </dl>
      <Sheet title="By feature and model">
        <Table
          label="Cache by feature and model"
          rows={stats.rows}
          key_={(row) => `${row.feature} ${row.model}`}
          sort={["Saved", "descending"]}
          columns={[
            { name: "Feature", class: "name", by: (row) => row.feature, cell: (row) => named(row.feature) },
            { name: "Asked for", class: "name", by: (row) => row.model, cell: (row) => row.model },
            { name: "Look-ups", number: true, by: (row) => Number(row.lookup_count), cell: (row) => count(row.lookup_count) },
            { name: "Exact", number: true, by: (row) => Number(row.exact_hit_count), cell: (row) => count(row.exact_hit_count) },
            { name: "Semantic", number: true, by: (row) => Number(row.semantic_hit_count), cell: (row) => count(row.semantic_hit_count) },
            { name: "Not cacheable", number: true, by: (row) => Number(row.not_cacheable_count), cell: (row) => count(row.not_cacheable_count) },
            {
              name: "Wrong", number: true,
              by: (row) => Number(row.wrong_hit_count),
              cell: (row) => (Number(row.wrong_hit_count) ? <span class="bad">{count(row.wrong_hit_count)}</span> : "0"),
            },
            { name: "Saved", money: (row) => big(row.saved_nanos) },
            {
              name: "",
              cell: (row) => (props.admin ? <Forget feature={row.feature} again={props.again} /> : null),
            },
          ]}
        />
      </Sheet>
    </>
  );
}

/** Removes a feature's answers, once it was said how many they are. */
function Forget({ feature, again }: { feature: string; again: () => void }): JSX.Element | null {
  const [matched, set] = useState<number | null>(null);
  const run = async (dry: boolean) => {
    try {
      const told = await rpc<{ matched_count: string; removed_count: string }>("cache/Invalidate", {
        features: [feature],
        dry_run: dry,
      });
      if (dry) return set(Number(told.matched_count));
      say(`${count(told.removed_count)} answers were removed.`);
      set(null);
      again();
    } catch (error) {
      say(why(error));
    }
  };
  if (!feature) return null;
  return (
    <button
      type="button"
      class={`quiet ${matched === null ? "" : "danger"}`}
      aria-label={matched === null ? `Forget the answers of ${feature}` : undefined}
      onClick={() => run(matched === null)}
    >
      {matched === null ? "Forget" : `Remove ${count(matched)}`}
    </button>
  );
}

function Found({ found }: { found: Finding }): JSX.Element {
  const outcome = word(found.outcome, "OUTCOME_");
  const seen = found.explanation;
  const hit = ["exact", "semantic"].includes(outcome);
  return (
    <div class="explained note">
      <p>
        <Badge kind={hit ? "good" : ""}>{outcome}</Badge>{" "}
        {hit
          ? `An answer of ${found.answer?.model ?? "a model"}, kept ${moment(found.store_time)} UTC, would be served${
              found.answer?.cost_nanos ? `: it had cost ${usd(big(found.answer.cost_nanos))}` : ""
            }.`
          : "The model would be called."}
      </p>
      {seen && (
        <>
          <p>
            {seen.skipped
              ? `No semantic look-up: ${seen.skipped}.`
              : `Served from a likeness of ${seen.similarity_min.toFixed(3)} on; threshold ${
                  seen.decision === "learned"
                    ? "learned from this feature’s outcomes, to meet its wrong-hit target"
                    : seen.decision === "closed"
                      ? "closed: outcomes show that the wrong-hit target is missed"
                      : "by default, until outcomes prove another"
                }${seen.stricter ? `; ${seen.stricter.toFixed(2)} log odds stricter after wrong hits` : ""}.`}
            {seen.screened_out && " Nothing was near."}
          </p>
          {seen.candidates.length > 0 && (
            <Table
              label="What was near"
              rows={seen.candidates}
              key_={(row) => row.entry_key}
              columns={[
                { name: "Entry", cell: (row) => <code>{row.entry_key.slice(0, 10)}…</code> },
                { name: "Likeness", number: true, cell: (row) => row.similarity.toFixed(4) },
                { name: "Same, by the verifier", number: true, cell: (row) => (row.p_same === undefined ? "–" : percent(row.p_same)) },
                { name: "Refused by", cell: (row) => row.refused_by || <Badge kind="good">nothing</Badge> },
              ]}
            />
          )}
        </>
      )}
    </div>
  );
}

function Report(): JSX.Element {
  const [token, setToken] = useState("");
  const [verdict, setVerdict] = useState("bad");
  const [problem, setProblem] = useState("");
  const send = async (event: Event) => {
    event.preventDefault();
    if (!token.trim()) return setProblem("Paste the feedback token.");
    try {
      const told = await post<{ removed: boolean }>("/feedback", { feedback_token: token.trim(), verdict });
      say(told.removed ? "The answer was removed and is not served again." : "Noted; the answer was not kept any more.");
      setToken("");
      setProblem("");
    } catch (error) {
      setProblem(why(error));
    }
  };
  return (
    <form onSubmit={send}>
      {problem && <Problem text={problem} />}
      <Field label="Feedback token" hint="Each hit carries one: x-spendgate-feedback-token, or Summary.feedback_token.">
        <input value={token} onInput={(event) => setToken(event.currentTarget.value)} />
      </Field>
      <Field label="The answer was">
        <Select
          label="The answer was"
          value={verdict}
          options={[
            ["bad", "not an answer to what was asked"],
            ["stale", "right once, out of date now"],
            ["good", "right"],
          ]}
          onChange={setVerdict}
        />
      </Field>
      <button type="submit" class="primary">
        Report
      </button>
    </form>
  );
}
