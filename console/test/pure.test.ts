// What is reckoned in the browser, without one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nanosOf, perMillion, placesOf, share, usd, usdExact, usdField, usdIn } from "../src/money";
import { periodOf, ticks } from "../src/period";
import { scopeText, tree, usedShare, whatIf } from "../src/screens/budget-math";
import { wrongAtMost } from "../src/screens/wilson";
import type { Breakdown, Budget } from "../src/types";

const budget = (budget_id: string, limit: number, more: Partial<Budget> = {}): Budget => ({
  budget_id, scope: {}, window: "BUDGET_WINDOW_MONTH", unit: "BUDGET_UNIT_NANO_USD",
  mode: "BUDGET_MODE_HARD", time_zone: "", limit_amount: String(limit * 1e9),
  settled_amount: "0", reserved_amount: "0", broken_count: "0", values: [], ...more,
});

test("amounts show the digits that tell something, and never lose any", () => {
  assert.equal(usd(0n), "$0.00");
  assert.equal(usd(1n), "$0.000000001");
  assert.equal(usd(5_700n), "$0.00000570");
  assert.equal(usd(12_345_678_901n), "$12.35");
  assert.equal(usd(1_234_567_890_123_456_789n), "$1,234,567,890");
  assert.equal(usd(-2_500_000_000n), "−$2.50");
  assert.equal(usdExact(9_007_199_254_740_993n), "$9,007,199.254740993");
  assert.equal(usdExact(3_000_000_000n), "$3.00");
});

test("a column has the same decimals in each row, and shows that there is something", () => {
  const places = placesOf([19n, 1_934_408_250n]);
  assert.equal(usdIn(1_934_408_250n, places), "$1.9344");
  assert.equal(usdIn(19n, places), "<$0.0001");
  assert.equal(usdIn(0n, places), "$0.0000");
});

test("what is typed becomes whole nano-USD, or is refused", () => {
  assert.equal(nanosOf("12.5"), 12_500_000_000n);
  assert.equal(nanosOf(" $1,000.000000001 "), 1_000_000_000_001n);
  for (const bad of ["", "1e3", "-1", "1.0000000001", "lots", "1.2.3"]) assert.equal(nanosOf(bad), null);
  assert.equal(nanosOf(usdField(1_234_567_890_123n)), 1_234_567_890_123n);
});

test("shares and prices", () => {
  assert.equal(share(1n, 3n), "33.3 %");
  assert.equal(share(-1n, 2n), "−50.0 %");
  assert.equal(share(1n, 0n), "–");
  assert.equal(perMillion(2_500_000n), "$2.50");
});

test("budgets nest by what they cover", () => {
  const all = budget("all", 10);
  const chat = budget("chat", 5, { scope: { feature: "chat" } });
  const strong = budget("strong", 2, { scope: { feature: "chat", model: "strong" } });
  const other = budget("other", 1, { scope: { user: "ana", each: ["model"] } });
  const [root] = tree([strong, other, chat, all]);
  assert.equal(root!.budget, all);
  assert.deepEqual(root!.children.map((node) => node.budget.budget_id).sort(), ["chat", "other"]);
  const under = root!.children.find((node) => node.budget === chat)!;
  assert.equal(under.children[0]!.budget, strong);
  assert.equal(scopeText(other.scope), "user ana · one for each model");
});

test("one limit for each value is as full as its fullest", () => {
  const each = budget("each", 10, {
    scope: { each: ["user"] },
    settled_amount: "12000000000",
    values: [{ each: { user: "ana" }, settled_amount: "4000000000", reserved_amount: "0" }],
  });
  assert.equal(usedShare(each), 0.4);
});

test("what another limit would have done", () => {
  const now = new Date("2026-11-20T12:00:00Z");
  const rows = [];
  for (let day = 1; day <= 20; day++) {
    const values = [`2026-11-${String(day).padStart(2, "0")}`];
    rows.push({ sums: { values, cost_nanos: "1000000000" } });
  }
  const past = { rows } as unknown as Breakdown;
  const present = budget("b", 100, {
    settled_amount: "20000000000",
    window_end_time: "2026-12-01T00:00:00Z",
  });
  const tight = whatIf(present, 23_000_000_000n, past, now);
  assert.equal(tight.paceNanos, 1_000_000_000n);
  assert.equal(tight.runsOut?.toISOString(), "2026-11-23T12:00:00.000Z");
  assert.deepEqual([tight.broken, tight.windows], [0, 1]);
  assert.equal(whatIf(present, 50_000_000_000n, past, now).runsOut, null);
  const over = whatIf(present, 10_000_000_000n, past, now);
  assert.deepEqual([over.broken, over.left, over.runsOut], [1, -10_000_000_000n, now]);
});

test("periods are whole UTC days and hours", () => {
  const now = new Date("2026-11-20T12:34:56Z");
  assert.equal(periodOf("7d", now).start, "2026-11-14T00:00:00.000Z");
  assert.equal(periodOf("last-month", now).end, "2026-11-01T00:00:00.000Z");
  const day = ticks(periodOf("24h", now));
  assert.deepEqual([day.length, day[23]], [24, "2026-11-20T12:00:00Z"]);
  assert.equal(ticks(periodOf("month", now)).length, 20);
});

test("few hits prove little", () => {
  assert.ok(wrongAtMost(0, 10) > 0.2);
  assert.ok(wrongAtMost(0, 1_000) < 0.003);
  assert.equal(wrongAtMost(0, 0), 1);
});
