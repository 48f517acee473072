// Holds docs/calculator/calculator.js to vectors.json: node check_page.js CALCULATOR VECTORS
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const [calculator, vectors] = process.argv.slice(2);
const { CASES, assumed, reckon } = require(calculator);
const told = JSON.parse(fs.readFileSync(vectors, "utf8"));
const text = (value) => (value === null ? null : String(value));

for (const { rates, ...given } of told.assumed) assert.deepStrictEqual(assumed(given), rates);
for (const [name, { work, outcome }] of Object.entries(told.months)) {
  const found = reckon(work);
  const cases = {};
  for (const each of CASES) {
    const one = found.cases[each];
    const { workNanos, monthNanos, tenthsOfMonths, yearPercent } = one.payback;
    cases[each] = {
      steps: one.steps.map((s) => [s.step, text(s.savedNanos), text(s.leftNanos), text(s.aloneNanos)]),
      savedNanos: text(one.savedNanos),
      payback: [workNanos, monthNanos, tenthsOfMonths, yearPercent].map(text),
    };
  }
  const roadmap = found.roadmap.map((t) => [t.step, text(t.monthNanos), text(t.soFarNanos)]);
  const baselineNanos = text(found.baselineNanos);
  assert.deepStrictEqual({ baselineNanos, cases, roadmap }, outcome, name);
}
