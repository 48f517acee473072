import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { rpc } from "../api";
import { nanosOf } from "../money";
import { Dialog, Field, FormEnd, Problem, Select, why } from "../parts/basics";
import { MONEY } from "./budget-math";
import { MODES } from "./budgets";

const WINDOWS: [string, string][] = [
  ["BUDGET_WINDOW_MONTH", "Each month"],
  ["BUDGET_WINDOW_WEEK", "Each week"],
  ["BUDGET_WINDOW_DAY", "Each day"],
  ["BUDGET_WINDOW_HOUR", "Each hour"],
  ["BUDGET_WINDOW_LIFETIME", "For its lifetime"],
];
const UNITS: [string, string][] = [
  [MONEY, "US dollars"],
  ["BUDGET_UNIT_TOKENS", "Tokens"],
  ["BUDGET_UNIT_REQUESTS", "Requests that call a provider"],
];
const PINS: [string, string][] = [
  ["feature", "Feature"],
  ["user", "User"],
  ["key_id", "Key"],
  ["project", "Project"],
  ["model", "Model"],
  ["provider", "Provider"],
];
const EACH: [string, string][] = [
  ["", "One limit for all"],
  ["user", "One for each user"],
  ["feature", "One for each feature"],
  ["key_id", "One for each key"],
  ["model", "One for each model"],
];

/** Makes a budget. */
export function NewBudget(props: {
  onClose: () => void;
  onDone: (text: string) => void;
}): JSX.Element {
  const [form, set] = useState<Record<string, string>>({
    id: "", limit: "", unit: MONEY, window: "BUDGET_WINDOW_MONTH", mode: "BUDGET_MODE_HARD",
    zone: "", each: "",
  });
  const [problem, setProblem] = useState("");
  const put = (name: string) => (value: string) => set((old) => ({ ...old, [name]: value }));
  const text = (name: string, placeholder = "any") => (
    <input
      value={form[name] ?? ""}
      placeholder={placeholder}
      onInput={(event) => put(name)(event.currentTarget.value)}
    />
  );
  const save = async (event: Event) => {
    event.preventDefault();
    const limit =
      form.unit === MONEY
        ? nanosOf(form.limit!)?.toString()
        : /^\d{1,18}$/.test(form.limit!) ? form.limit : undefined;
    if (!form.id!.trim()) return setProblem("Give it a name.");
    if (limit === undefined) return setProblem("The limit must be a number, such as 25 or 0.50.");
    const scope: Record<string, unknown> = Object.fromEntries(
      PINS.map(([name]) => [name, (form[name] ?? "").trim()]).filter(([, value]) => value),
    );
    if (form.each) scope.each = [form.each];
    try {
      await rpc("ledger/CreateBudget", {
        budget_id: form.id!.trim(),
        scope,
        window: form.window,
        unit: form.unit,
        mode: form.mode,
        limit_amount: limit,
        time_zone: form.zone!.trim(),
      });
      props.onDone(`The budget ${form.id!.trim()} counts from now on.`);
    } catch (error) {
      setProblem(why(error));
    }
  };
  return (
    <Dialog title="New budget" onClose={props.onClose} wide>
      <form onSubmit={save}>
        {problem && <Problem text={problem} />}
        <div class="row">
          <Field label="Name">{text("id", "search-month")}</Field>
          <Field label="Limit">{text("limit", "25.00")}</Field>
          <Field label="Counted in">
            <Select label="Counted in" value={form.unit!} options={UNITS} onChange={put("unit")} />
          </Field>
        </div>
        <p class="note" />
        <div class="row">
          <Field label="Starts anew">
            <Select label="Starts anew" value={form.window!} options={WINDOWS} onChange={put("window")} />
          </Field>
          <Field label="Time zone">{text("zone", "UTC")}</Field>
          <Field label="When it would be broken">
            <Select label="When it would be broken" value={form.mode!} options={MODES} onChange={put("mode")} />
          </Field>
        </div>
        <h3 class="note">What it covers: every call that equals all that is filled in</h3>
        <div class="row">
          {PINS.map(([name, label]) => (
            <Field key={name} label={label}>
              {text(name)}
            </Field>
          ))}
          <Field label="How many limits">
            <Select label="How many limits" value={form.each!} options={EACH} onChange={put("each")} />
          </Field>
        </div>
        <FormEnd submit="Make the budget" onCancel={props.onClose} />
      </form>
    </Dialog>
  );
}
