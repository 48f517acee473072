import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { all, breakdown, rpc } from "../api";
import { LIVE_SECONDS, useAsk } from "../ask";
import { nanosOf, ratio, usd, usdField } from "../money";
import { Answer, Badge, Bar, Dialog, Empty, Field, Problem, Select, Sheet, say, why } from "../parts/basics";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import type { Budget, Who } from "../types";
import { ahead, big, count, moment, percent, word } from "../words";
import { amount, MONEY, readable, scopeFilter, scopeText, tree, usedShare, useOf, whatIf, type Node } from "./budget-math";
import { NewBudget } from "./budget-new";

export const MODES: [string, string][] = [
  ["BUDGET_MODE_HARD", "Hard: refuse the request"],
  ["BUDGET_MODE_SOFT", "Soft: let it go on, with a notice"],
  ["BUDGET_MODE_DOWNGRADE", "Downgrade: the cheapest model that can"],
  ["BUDGET_MODE_SHADOW", "Shadow: only count what would be refused"],
];

export function Budgets({ who }: { who: Who }): JSX.Element {
  const asked = useAsk("budgets", () => all<Budget>("ledger/ListBudgets", "budgets"), LIVE_SECONDS);
  const [open, setOpen] = useState("");
  const [making, setMaking] = useState(false);
  // Always as it is now: what is spent meanwhile counts in the what-if.
  const opened = asked.data?.find((budget) => budget.budget_id === open);
  const admin = who.role === "admin";
  const done = (text: string) => {
    setOpen("");
    setMaking(false);
    asked.again();
    say(text);
  };
  return (
    <Screen
      title="Budgets"
      lead="A request is held against every budget that covers it, before a provider is called."
      tools={
        admin && (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            New budget
          </button>
        )
      }
    >
      <Answer of={asked} rows={8}>
        {(budgets) =>
          budgets.length ? (
            <ul class="tree">
              {tree(budgets).map((node) => (
                <Branch key={node.budget.budget_id} node={node} admin={admin} open={setOpen} />
              ))}
            </ul>
          ) : (
            <Sheet>
              <Empty title="No budget yet.">
                Until there is one, nothing is refused. From the command line:
                <pre>spendgate budget create reports --limit 5 --window month --feature reports</pre>
              </Empty>
            </Sheet>
          )
        }
      </Answer>
      {making && <NewBudget onClose={() => setMaking(false)} onDone={done} />}
      {opened && (
        <Edit budget={opened} admin={admin} onClose={() => setOpen("")} onDone={done} />
      )}
    </Screen>
  );
}

function Branch(props: {
  node: Node;
  admin: boolean;
  open: (budget_id: string) => void;
}): JSX.Element {
  const { budget, children } = props.node;
  return (
    <li>
      <Row budget={budget} admin={props.admin} open={props.open} />
      {children.length > 0 && (
        <ul>
          {children.map((child) => (
            <Branch key={child.budget.budget_id} {...props} node={child} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Row(props: {
  budget: Budget;
  admin: boolean;
  open: (budget_id: string) => void;
}): JSX.Element {
  const { budget } = props;
  const limit = big(budget.limit_amount);
  const { settled, held, value } = useOf(budget);
  const used = usedShare(budget);
  const left = limit - settled - held;
  const tone = used >= 1 ? "over" : used > 0.8 ? "near" : "ok";
  const mode = word(budget.mode, "BUDGET_MODE_");
  return (
    <div class="budget">
      <div class="what">
        <b>{budget.budget_id}</b>{" "}
        {mode !== "hard" && <Badge kind={mode === "shadow" ? "" : "warn"}>{mode}</Badge>}{" "}
        {used >= 1 && <Badge kind="bad">used up</Badge>}
        <small>
          {scopeText(budget.scope)} · {windowText(budget)}
        </small>
      </div>
      <div class="use">
        <Bar
          label={`${percent(used)} used: ${amount(budget, settled)} charged, ${amount(budget, held)} held, limit ${amount(budget, limit)}`}
          parts={[
            [tone, limit ? Math.min(1, ratio(settled, limit)) : used],
            ["held", limit ? ratio(held, limit) : 0],
          ]}
        />
        <small class="num">
          <span>
            {value && `${value}, the fullest: `}
            <b>{amount(budget, settled)}</b> of {amount(budget, limit)}
            {held > 0n && ` · ${amount(budget, held)} held`}
          </span>
          <span class={left < 0n ? "bad" : ""}>
            {left < 0n ? `${amount(budget, -left)} over` : `${amount(budget, left)} left`}
            {Number(budget.broken_count) > 0 && ` · let ${count(budget.broken_count)} through`}
          </span>
        </small>
      </div>
      <button
        type="button"
        class="quiet"
        onClick={() => props.open(budget.budget_id)}
        aria-label={`${props.admin ? "Edit" : "Look at"} the budget ${budget.budget_id}`}
      >
        {props.admin ? "Edit" : "What if"}
      </button>
    </div>
  );
}

function windowText(budget: Budget): string {
  const window = word(budget.window, "BUDGET_WINDOW_");
  const zone = budget.time_zone ? `, ${budget.time_zone}` : "";
  if (window === "rolling") return `the last ${(budget.rolling ?? "").replace(/s$/, " s")}`;
  if (window === "lifetime") return "for its lifetime";
  return `each ${window}${zone}, anew ${ahead(budget.window_end_time)}`;
}

function Edit(props: {
  budget: Budget;
  admin: boolean;
  onClose: () => void;
  onDone: (text: string) => void;
}): JSX.Element {
  const { budget } = props;
  const inMoney = budget.unit === MONEY;
  const [limit, setLimit] = useState(
    inMoney ? usdField(big(budget.limit_amount)) : budget.limit_amount,
  );
  const [mode, setMode] = useState(budget.mode);
  const [problem, setProblem] = useState("");
  const [sure, setSure] = useState(false);
  const nanos = inMoney ? nanosOf(limit) : /^\d{1,18}$/.test(limit) ? BigInt(limit) : null;
  const wrong =
    nanos !== null ? "" : inMoney ? "Dollars with at most nine decimals." : "A whole number.";
  const attempt = async (what: () => Promise<unknown>, told: string) => {
    try {
      await what();
      props.onDone(told);
    } catch (error) {
      setProblem(why(error));
    }
  };
  const save = (event: Event) => {
    event.preventDefault();
    if (nanos === null) return;
    void attempt(
      () =>
        rpc("ledger/UpdateBudget", {
          budget: {
            budget_id: budget.budget_id,
            limit_amount: nanos.toString(),
            unit: budget.unit,
            mode,
          },
          update_mask: "limitAmount,mode",
        }),
      `The budget ${budget.budget_id} holds from now on.`,
    );
  };
  const remove = () =>
    attempt(
      () => rpc("ledger/DeleteBudget", { budget_id: budget.budget_id }),
      `The budget ${budget.budget_id} is gone.`,
    );
  return (
    <Dialog title={budget.budget_id} onClose={props.onClose}>
      <form onSubmit={save}>
        {problem && <Problem text={problem} />}
        <Field
          label={inMoney ? "Limit, in US dollars" : `Limit, in ${word(budget.unit, "BUDGET_UNIT_")}`}
          problem={wrong}
          hint="It holds at once, also below what is spent or set aside."
        >
          <input
            inputMode="decimal"
            value={limit}
            onInput={(event) => setLimit(event.currentTarget.value)}
          />
        </Field>
        {nanos !== null && <WhatIf budget={budget} limit={nanos} />}
        {props.admin && (
          <>
            <Field label="When it would be broken">
              <Select label="When it would be broken" value={mode} options={MODES} onChange={setMode} />
            </Field>
            <div class="end">
              <button
                type="button"
                class="quiet danger"
                onClick={() => (sure ? void remove() : setSure(true))}
              >
                {sure ? "Really delete it" : "Delete"}
              </button>
              <button type="submit" class="primary" disabled={nanos === null}>
                Save
              </button>
            </div>
          </>
        )}
      </form>
      {budget.values.length > 0 && (
        <Sheet title={`Most used, for each ${budget.scope.each?.join(" and ")}`}>
          <Table
            label="Values"
            rows={budget.values}
            key_={(row) => JSON.stringify(row.each)}
            columns={[
              { name: "Value", class: "name", cell: (row) => Object.values(row.each).join(", ") || "(not said)" },
              { name: "Charged", number: true, cell: (row) => amount(budget, big(row.settled_amount)) },
              { name: "Held", number: true, cell: (row) => amount(budget, big(row.reserved_amount)) },
            ]}
          />
        </Sheet>
      )}
    </Dialog>
  );
}

/** What this limit would have done to the days that are known, and will do at the present pace. */
function WhatIf({ budget, limit }: { budget: Budget; limit: bigint }): JSX.Element | null {
  const asked = useAsk(`past ${budget.budget_id}`, () =>
    readable(budget)
      ? breakdown({
          start_time: new Date(Date.now() - 90 * 86_400_000).toISOString(),
          group_by: ["AXIS_DAY"],
          only: scopeFilter(budget.scope),
        })
      : Promise.resolve(null),
  );
  if (budget.unit !== MONEY) return null;
  return (
    <div class="whatif" aria-live="polite">
      <h3>With this limit</h3>
      <Answer of={asked} rows={2}>
        {(days) => {
          if (!days) return <p class="soft">Past days cannot be told apart by this budget’s values or tags.</p>;
          const told = whatIf(budget, limit, days, new Date());
          const window = word(budget.window, "BUDGET_WINDOW_");
          return (
            <ul>
              <li>
                {told.left > 0n ? `${usd(told.left)} would be left now.` : "It would be used up now: calls are refused."}
              </li>
              <li>
                {told.paceNanos === 0n
                  ? "Nothing was spent on it in the last 7 days."
                  : told.runsOut
                    ? told.left > 0n
                      ? `At ${usd(told.paceNanos)} a day, as in the last 7, it is used up on ${moment(told.runsOut.toISOString())} UTC.`
                      : `The last 7 days took ${usd(told.paceNanos)} a day.`
                    : `At ${usd(told.paceNanos)} a day, as in the last 7, it lasts to the end of its window.`}
              </li>
              {["day", "week", "month"].includes(window) && (
                <li>
                  {told.broken
                    ? `${told.broken} of the last ${told.windows} ${window}s would have broken it.`
                    : `None of the last ${told.windows} ${window}s would have broken it.`}
                </li>
              )}
            </ul>
          );
        }}
      </Answer>
    </div>
  );
}
