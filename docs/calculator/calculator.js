/* The calculator's arithmetic, as in cli/calculator: exact fractions of BigInt, rounded once.
   Tests hold both to tests/unit/cli/calculator/vectors.json. No number of money is a float. */
"use strict";
(function (global) {
  const BP = 10000n;
  const CASES = ["low", "expected", "high"];
  const STEPS = ["caching", "context", "instructions", "compression", "routing", "batch"];
  const BUCKETS = ["instructions", "history", "new", "output"];

  const HIT_RATE_OF_STREAMS = [0, 1790, 4060];
  const SERVED_OF_REPEATS = [5380, 7770, 9010];
  const CONTEXT_CACHED = [0, 190, 280];
  const CONTEXT_UNCACHED = [1250, 2190, 2380];
  const COMPACT_JSON = [0, 2170, 3630];
  const ROUTED = [720, 4880, 6660];
  const SENT_AS_BATCH = [8000, 9000, 10000];
  const HOURS = { caching: 8, context: 8, instructions: 8, compression: 4, routing: 24, batch: 16 };

  /** A fraction: numerator and a denominator above 0. */
  const of = (numerator, denominator = 1n) => [BigInt(numerator), BigInt(denominator)];
  const plus = (a, b) => [a[0] * b[1] + b[0] * a[1], a[1] * b[1]];
  const minus = (a, b) => [a[0] * b[1] - b[0] * a[1], a[1] * b[1]];
  const times = (a, b) => [a[0] * b[0], a[1] * b[1]];
  const less = (a, b) => a[0] * b[1] < b[0] * a[1];
  const ONE = of(1);
  const share = (points) => of(points, BP);

  /** To a whole number, half to even. */
  function round([numerator, denominator]) {
    const negative = numerator < 0n;
    const size = negative ? -numerator : numerator;
    let whole = size / denominator;
    const twice = 2n * (size % denominator);
    if (twice > denominator || (twice === denominator && whole % 2n === 1n)) whole += 1n;
    return negative ? -whole : whole;
  }

  /** Rates in basis points, low to high. repeatBp: null when it is not known. */
  function assumed({ repeatBp, turns, providerCaches, waitBp }) {
    const part = (rates, points) => rates.map((rate) => Math.floor((rate * points) / 10000));
    return {
      caching:
        repeatBp === null
          ? HIT_RATE_OF_STREAMS.map((rate) => Math.floor(rate / turns))
          : part(SERVED_OF_REPEATS, repeatBp),
      context: providerCaches ? CONTEXT_CACHED : CONTEXT_UNCACHED,
      instructions: [0, 0, 0],
      compression: COMPACT_JSON,
      routing: ROUTED,
      batch: part(SENT_AS_BATCH, waitBp),
    };
  }

  function fullPicos(work, row, prices) {
    const cached = BigInt(work.cachedBp);
    const again = of(BigInt(prices.input) * (BP - cached) + BigInt(prices.cached) * cached, BP);
    return {
      instructions: times(of(row.instructionTokens), again),
      history: times(of(row.historyHalfTokens, 2n), again),
      new: of(BigInt(row.newTokens) * BigInt(prices.input)),
      output: of(BigInt(row.outputTokens) * BigInt(prices.output)),
    };
  }

  const total = (picos) => BUCKETS.reduce((sum, name) => plus(sum, picos[name]), of(0));

  function baseOf(work) {
    const now = {};
    const gap = {};
    for (const name of BUCKETS) now[name] = gap[name] = of(0);
    for (const row of work.rows) {
      const paid = fullPicos(work, row, row.prices);
      for (const name of BUCKETS) now[name] = plus(now[name], paid[name]);
      if (!work.cheap) continue;
      const cheap = fullPicos(work, row, work.cheap);
      if (!less(total(cheap), total(paid))) continue;
      for (const name of BUCKETS) gap[name] = plus(gap[name], minus(paid[name], cheap[name]));
    }
    const sum = total(now);
    if (sum[0] === 0n) throw new RangeError("the month costs nothing: tell tokens and prices");
    if (work.spendNanos !== null) {
      const scale = [BigInt(work.spendNanos) * 1000n * sum[1], sum[0]];
      for (const name of BUCKETS) {
        now[name] = times(now[name], scale);
        gap[name] = times(gap[name], scale);
      }
    }
    return { now, gap };
  }

  function historyHit(hit, turns) {
    if (turns === 1) return of(0);
    const found = times(times(hit, minus(times(hit, of(turns)), ONE)), of(1, turns - 1));
    return found[0] < 0n ? of(0) : found;
  }

  function left(work, base, rates) {
    const rate = (step) => share(rates[step] || 0);
    const stays = (step) => minus(ONE, rate(step));
    const kept = minus(ONE, times(rate("compression"), share(work.toolBp)));
    const asked = stays("caching");
    const read = minus(ONE, historyHit(rate("caching"), work.turns));
    const factor = {
      instructions: times(asked, stays("instructions")),
      history: times(times(read, stays("context")), kept),
      new: times(asked, kept),
      output: asked,
    };
    const sum = (picos) =>
      BUCKETS.reduce((found, name) => plus(found, times(picos[name], factor[name])), of(0));
    const routed = minus(sum(base.now), times(sum(base.gap), rate("routing")));
    return times(routed, minus(ONE, times(rate("batch"), share(work.batchDiscountBp))));
  }

  const nanos = (picos) => round(times(picos, of(1, 1000n)));

  function oneCase(work, base, at, baseline) {
    const taken = {};
    let before = baseline;
    const steps = STEPS.map((step) => {
      const rate = work.rates[step][at];
      const aloneNanos = baseline - nanos(left(work, base, { [step]: rate }));
      taken[step] = rate;
      const leftNanos = nanos(left(work, base, taken));
      const savedNanos = before - leftNanos;
      before = leftNanos;
      return { step, savedNanos, leftNanos, aloneNanos };
    });
    return { steps, savedNanos: baseline - before, leftNanos: before };
  }

  /** A month, and the low, expected and high case. Throws RangeError when it costs nothing. */
  function reckon(work) {
    const base = baseOf(work);
    const baselineNanos = nanos(left(work, base, {}));
    const cases = {};
    CASES.forEach((name, at) => {
      cases[name] = oneCase(work, base, at, baselineNanos);
      cases[name].payback = payback(work, cases[name]);
    });
    const bucketNanos = {};
    for (const name of BUCKETS) bucketNanos[name] = nanos(base.now[name]);
    return { baselineNanos, bucketNanos, cases, roadmap: roadmap(work, cases.expected) };
  }

  /** Steps that save, by dollars for an hour of work; a step without work comes first. */
  function roadmap(work, found) {
    const worth = (each) => {
      const hours = BigInt(work.hours[each.step]);
      return hours === 0n ? [1, each.savedNanos] : [0, each.savedNanos / hours];
    };
    const tasks = found.steps.filter((each) => each.savedNanos > 0n);
    tasks.sort((a, b) => {
      const [freeA, x] = worth(a);
      const [freeB, y] = worth(b);
      return freeB - freeA || (x > y ? -1 : x < y ? 1 : 0);
    });
    let soFarNanos = 0n;
    return tasks.map(({ step, savedNanos }) => {
      soFarNanos += savedNanos;
      return { step, hours: work.hours[step], monthNanos: savedNanos, soFarNanos };
    });
  }

  function payback(work, found) {
    const hours = roadmap(work, found).reduce((sum, task) => sum + task.hours, 0);
    const workNanos = BigInt(hours) * BigInt(work.hourlyNanos);
    const monthNanos = found.savedNanos - BigInt(work.runningNanos);
    const up = (a, b) => (a + b - 1n) / b;
    const tenthsOfMonths = monthNanos > 0n ? up(10n * workNanos, monthNanos) : null;
    const gain = 12n * monthNanos - workNanos;
    const yearPercent = workNanos === 0n ? null : (gain * 100n) / workNanos;
    return { workNanos, monthNanos, tenthsOfMonths, yearPercent };
  }

  const known = { BP, CASES, STEPS, BUCKETS, HOURS, assumed, reckon };
  if (typeof module === "object" && module.exports) module.exports = known;
  else global.spendgateCalculator = known;
})(typeof globalThis === "object" ? globalThis : this);
