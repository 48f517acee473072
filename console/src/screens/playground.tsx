import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { all, post, stream } from "../api";
import { useAsk } from "../ask";
import { usd } from "../money";
import { Answer, Badge, Empty, Field, Money, Problem, Sheet, say, why } from "../parts/basics";
import { Screen } from "../parts/shell";
import { href, Link } from "../place";
import type { Model, Who } from "../types";
import { big, count, ms } from "../words";

const LANES_MAX = 4;
// Until the provider says: four letters a token.
const LETTERS_A_TOKEN = 4;

interface Lane {
  model: string;
  text: string;
  state: "writing" | "done" | "failed";
  problem: string;
  told: Record<string, any>;
}

export function Playground({ who }: { who: Who }): JSX.Element {
  const models = useAsk("models", () => all<Model>("router/ListModels", "models"));
  return (
    <Screen
      title="Playground"
      lead="One prompt, several models, side by side with what each costs. Every answer is booked, under the feature “playground”."
    >
      {who.role === "admin" ? (
        <Answer of={models} rows={6}>
          {(known) => <Bench models={known} />}
        </Answer>
      ) : (
        <Sheet>
          <Empty title="A viewer key calls no models.">Sign in with an admin key to try some.</Empty>
        </Sheet>
      )}
    </Screen>
  );
}

function Bench({ models }: { models: Model[] }): JSX.Element {
  const usable = models.filter((model) => model.price_status === "PRICE_STATUS_PRICED");
  const first = usable.filter((model) => model.routable).slice(0, 2);
  const [chosen, setChosen] = useState(["auto", ...first.map((model) => model.model)]);
  const [system, setSystem] = useState("");
  const [text, setText] = useState("");
  const [limit, setLimit] = useState("300");
  const [lanes, setLanes] = useState<Lane[]>([]);
  const [problem, setProblem] = useState("");
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const toggle = (name: string) =>
    setChosen((old) => (old.includes(name) ? old.filter((each) => each !== name) : [...old, name]));
  const put = (at: number, part: (old: Lane) => Partial<Lane>) =>
    setLanes((old) => old.map((lane, index) => (index === at ? { ...lane, ...part(lane) } : lane)));
  const run = (event: Event) => {
    event.preventDefault();
    if (!text.trim()) return setProblem("Enter a prompt.");
    if (!chosen.length || chosen.length > LANES_MAX) return setProblem(`Choose one to ${LANES_MAX} models.`);
    if (!/^[1-9]\d{0,5}$/.test(limit)) return setProblem("Tokens to write are a whole number.");
    setProblem("");
    stop.current.abort();
    stop.current = new AbortController();
    const signal = stop.current.signal;
    setLanes(chosen.map((model) => ({ model, text: "", state: "writing", problem: "", told: {} })));
    const messages = [
      ...(system.trim() ? [{ role: "system", content: system }] : []),
      { role: "user", content: text },
    ];
    chosen.forEach(async (model, at) => {
      try {
        const told = await stream(
          { model, messages, temperature: 0, max_tokens: Number(limit) },
          (piece) => put(at, (old) => ({ text: old.text + piece })),
          signal,
        );
        put(at, () => ({ state: "done", told }));
      } catch (error) {
        if (signal.aborted) return;
        put(at, () => ({ state: "failed", problem: why(error) }));
      }
    });
  };
  const busy = lanes.some((lane) => lane.state === "writing");
  const whole = lanes.reduce((all, lane) => all + big(String(lane.told.cost_nanos ?? 0)), 0n);
  return (
    <>
      <Sheet>
        <form onSubmit={run}>
          {problem && <Problem text={problem} />}
          <Field label="System prompt">
            <input value={system} placeholder="none" onInput={(event) => setSystem(event.currentTarget.value)} />
          </Field>
          <Field label="Prompt">
            <textarea value={text} onInput={(event) => setText(event.currentTarget.value)} />
          </Field>
          <fieldset class="checks">
            <legend>Models, one to {LANES_MAX}</legend>
            {["auto", ...usable.map((model) => model.model)].map((name) => (
              <label key={name}>
                <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} />
                {name}
              </label>
            ))}
          </fieldset>
          <div class="row">
            <Field label="Tokens to write, at most">
              <input inputMode="numeric" value={limit} onInput={(event) => setLimit(event.currentTarget.value)} />
            </Field>
            <button type="submit" class="primary" disabled={busy}>
              {busy ? "Writing…" : "Compare"}
            </button>
            {lanes.length > 0 && !busy && (
              <span class="soft">
                Together <Money nanos={whole} />
              </span>
            )}
          </div>
        </form>
      </Sheet>
      <div class="lanes" aria-live="polite" aria-busy={busy}>
        {lanes.map((lane) => (
          <Lane_ key={lane.model} lane={lane} price={usable.find((model) => model.model === lane.model)} />
        ))}
      </div>
    </>
  );
}

function Lane_({ lane, price }: { lane: Lane; price: Model | undefined }): JSX.Element {
  const told = lane.told;
  const written = Math.ceil(lane.text.length / LETTERS_A_TOKEN);
  const picos = big(price?.price?.output_picos) * BigInt(written);
  const hit = ["exact", "semantic", "shared"].includes(told.cache);
  return (
    <section class="lane-answer" aria-label={`Answer of ${lane.model}`}>
      <header>
        <h3>
          {lane.model}
          {told.model && told.model !== lane.model && <span class="soft"> → {told.model}</span>}
        </h3>
        {lane.state === "writing" ? (
          <span class="soft num">{price ? `about ${usd(picos / 1000n)}` : "…"}</span>
        ) : (
          lane.state === "done" && <Money nanos={big(String(told.cost_nanos ?? 0))} />
        )}
      </header>
      {lane.state === "failed" ? <Problem text={lane.problem} /> : <p class="said">{lane.text}</p>}
      {lane.state === "done" && (
        <p class="note">
          {hit && <Badge kind="good">cache: {told.cache}</Badge>} {ms(Number(told.latency_ms ?? 0))} ·{" "}
          {count(told.written ?? written)} tokens written
          {big(String(told.saved_nanos ?? 0)) > 0n && ` · saved ${usd(big(String(told.saved_nanos)))}`}
          {told.request_id && (
            <>
              {" · "}
              <Link to={href(`request/${told.request_id}`)}>why</Link>
            </>
          )}
          {told.feedback_token && (
            <>
              {" · "}
              <button type="button" class="link" onClick={() => wrong(told.feedback_token)}>
                wrong answer
              </button>
            </>
          )}
        </p>
      )}
    </section>
  );
}

async function wrong(token: string): Promise<void> {
  try {
    await post("/feedback", { feedback_token: token, verdict: "bad" });
    say("It is not served again, and the cache is stricter for this feature.");
  } catch (error) {
    say(why(error));
  }
}
