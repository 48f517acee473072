// Budgets: how they nest, how far they are used, what another limit would have done.
import { usd } from "../money";
import type { Breakdown, Budget, Scope } from "../types";
import { big, count } from "../words";

export const MONEY = "BUDGET_UNIT_NANO_USD";
export const AXES: Record<string, string> = {
  feature: "AXIS_FEATURE",
  model: "AXIS_MODEL",
  user: "AXIS_USER",
  project: "AXIS_PROJECT",
  provider: "AXIS_PROVIDER",
  key_id: "AXIS_KEY",
};
const NAMES: Record<string, string> = { key_id: "key" };

/** Charged and held on one limit: of a budget with one for each value, on the fullest. */
export function useOf(budget: Budget): { settled: bigint; held: bigint; value: string } {
  const own = { settled: big(budget.settled_amount), held: big(budget.reserved_amount), value: "" };
  if (!budget.scope.each?.length) return own;
  const first = budget.values[0];
  if (!first) return { settled: 0n, held: 0n, value: "" };
  return {
    settled: big(first.settled_amount),
    held: big(first.reserved_amount),
    value: Object.values(first.each).join(", ") || "(not said)",
  };
}

export function usedShare(budget: Budget): number {
  const limit = big(budget.limit_amount);
  const { settled, held } = useOf(budget);
  const used = settled + held;
  if (limit === 0n) return used > 0n ? 1 : 0;
  return Number((used * 10_000n) / limit) / 10_000;
}

export const amount = (budget: Budget, value: bigint): string =>
  budget.unit === MONEY
    ? usd(value)
    : `${count(value)} ${budget.unit === "BUDGET_UNIT_TOKENS" ? "tokens" : "requests"}`;

/** What a scope pins, as [name, value]; the tenant itself is not told. */
export function pins(scope: Scope): [string, string][] {
  const plain = Object.keys(AXES)
    .map((name) => [NAMES[name] ?? name, scope[name as keyof Scope] as string] as [string, string])
    .filter(([, value]) => value);
  return [...plain, ...Object.entries(scope.tags ?? {}).map(([tag, value]) => [`tag ${tag}`, value] as [string, string])];
}

export const scopeText = (scope: Scope): string => {
  const said = pins(scope).map(([name, value]) => `${name} ${value}`);
  const each = scope.each?.length ? ` · one for each ${scope.each.join(" and ")}` : "";
  return (said.join(", ") || "everything") + each;
};

export interface Node {
  budget: Budget;
  children: Node[];
}

/** A budget hangs under the narrowest one that covers all it covers. */
export function tree(budgets: Budget[]): Node[] {
  const nodes = budgets.map((budget): Node => ({ budget, children: [] }));
  const roots: Node[] = [];
  for (const node of nodes) {
    const own = new Map(pins(node.budget.scope));
    const above = nodes
      .filter((other) => {
        const theirs = pins(other.budget.scope);
        return (
          theirs.length < own.size && theirs.every(([name, value]) => own.get(name) === value)
        );
      })
      .sort((a, b) => pins(b.budget.scope).length - pins(a.budget.scope).length)[0];
    (above ? above.children : roots).push(node);
  }
  const byUse = (a: Node, b: Node) => usedShare(b.budget) - usedShare(a.budget);
  for (const node of nodes) node.children.sort(byUse);
  return roots.sort(byUse);
}

/** Whether past days can be read for this scope: tags are not an axis that can be combined here. */
export const readable = (budget: Budget): boolean =>
  budget.unit === MONEY &&
  !Object.keys(budget.scope.tags ?? {}).length &&
  !budget.scope.each?.length;

export const scopeFilter = (scope: Scope): { axis: string; value: string }[] =>
  Object.entries(AXES)
    .filter(([name]) => scope[name as keyof Scope])
    .map(([name, axis]) => ({ axis, value: scope[name as keyof Scope] as string }));

export interface WhatIf {
  /** Windows of the past days that would have been broken. */
  broken: number;
  windows: number;
  /** When the present window would be used up at the pace of the last 7 days. */
  runsOut: Date | null;
  paceNanos: bigint;
  left: bigint;
}

const DAY = 86_400_000;

/** What a limit would have done to the days that are known, one limit a day, week or month. */
export function whatIf(budget: Budget, limit: bigint, days: Breakdown, now: Date): WhatIf {
  const sums = new Map<string, bigint>();
  let week = 0n;
  for (const row of days.rows) {
    const day = row.sums.values[0]!;
    const cost = big(row.sums.cost_nanos);
    const name = windowOf(budget.window, day);
    sums.set(name, (sums.get(name) ?? 0n) + cost);
    const age = now.getTime() - Date.parse(day + "T00:00:00Z");
    if (age > DAY && age <= 8 * DAY) week += cost;
  }
  const { settled, held } = useOf(budget);
  const left = limit - settled - held;
  const pace = week / 7n;
  let runsOut: Date | null = null;
  if (left <= 0n) runsOut = now;
  else if (pace > 0n) {
    const at = new Date(now.getTime() + Number((left * BigInt(DAY)) / pace));
    const end = budget.window_end_time ? Date.parse(budget.window_end_time) : Infinity;
    runsOut = at.getTime() < end && Number.isFinite(at.getTime()) ? at : null;
  }
  const broken = [...sums.values()].filter((sum) => sum > limit).length;
  return { broken, windows: sums.size, runsOut, paceNanos: pace, left };
}

function windowOf(window: string, day: string): string {
  if (window === "BUDGET_WINDOW_MONTH") return day.slice(0, 7);
  if (window === "BUDGET_WINDOW_WEEK") {
    const at = new Date(day + "T00:00:00Z");
    return new Date(at.getTime() - ((at.getUTCDay() + 6) % 7) * DAY).toISOString().slice(0, 10);
  }
  if (window === "BUDGET_WINDOW_DAY" || window === "BUDGET_WINDOW_HOUR") return day;
  return "all";
}
