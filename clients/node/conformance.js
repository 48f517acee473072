// The list of clients/conformance/README.md, run by this client.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { BudgetExceeded, Cancelled, DeadlinePassed, InvalidRequest, KeyInvalid, Spendgate } from "./lib/index.js";

const { SPENDGATE_ADDRESS: address, SPENDGATE_KEY: key, SPENDGATE_POOR_KEY: poorKey, SPENDGATE_HANG_MODEL: hang, SPENDGATE_TRACE_ID: traceId } = process.env;
const gate = new Spendgate(address, { key });
const own = `node ${process.pid}`;

async function refused(kind, work) {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
    return error;
  }
  return assert.fail(`no ${kind.name}`);
}

async function drained(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const cases = {
  async complete() {
    const { text, summary } = await gate.complete(`Say hello, ${own}.`, { feature: "conformance" });
    assert.ok(text && summary.requestId && BigInt(summary.costNanos) > 0n);
  },
  async stream() {
    const events = await drained(gate.stream(`Count to three, ${own}.`));
    const pieces = events.slice(0, -1);
    assert.ok(pieces.length > 1 && pieces.every(({ text }) => text) && events.at(-1).summary.requestId);
  },
  async cache_hit() {
    await gate.complete(`Twice the same, ${own}.`);
    const { summary } = await gate.complete(`Twice the same, ${own}.`);
    assert.equal(summary.source, "ANSWER_SOURCE_CACHE_EXACT");
    assert.equal(summary.costNanos, "0");
  },
  async budget_refused() {
    const poor = new Spendgate(address, { key: poorKey });
    const error = await refused(BudgetExceeded, () => poor.complete(`Too dear, ${own}.`));
    poor.close();
    assert.equal(error.budgetId, "poor");
    assert.equal(error.limitNanos, 1n);
    assert.match(error.quota[0].subject, /poor/);
  },
  async invalid_argument() {
    const error = await refused(InvalidRequest, () => gate.complete([]));
    assert.equal(error.violations[0].field, "prompt.messages");
  },
  async key_invalid() {
    const stranger = new Spendgate(address, { key: "sk-nobody" });
    await refused(KeyInvalid, () => stranger.complete("Who am I?"));
    stranger.close();
  },
  async deadline() {
    await refused(DeadlinePassed, () => gate.complete(`Hang, ${own}.`, { model: hang, deadlineSeconds: 0.5 }));
  },
  async cancel() {
    const leaving = new AbortController();
    const events = drained(gate.stream(`Hang and be left, ${own}.`, { model: hang, signal: leaving.signal }));
    await sleep(200);
    leaving.abort();
    await refused(Cancelled, () => events);
  },
  async trace() {
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    const { summary } = await gate.complete(`Trace me, ${own}.`, { traceparent });
    assert.equal(summary.traceId, traceId);
  },
  async unicode() {
    const { text } = await gate.complete(`Grüße, 你好, مرحبا, नमस्ते, 👩‍👩‍👧, e\u0301 from ${own}`);
    assert.ok(text);
  },
  async large() {
    const { text } = await gate.complete(`${own} ${"a word and another ".repeat(2 ** 19 / 19)}`);
    assert.ok(text);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  let error = "";
  try {
    await run();
  } catch (thrown) {
    error = `${thrown.name}: ${thrown.message}`;
    failed += 1;
  }
  console.log(JSON.stringify({ case: name, ok: !error, error }));
}
gate.close();
process.exitCode = failed ? 1 : 0;
