/* The form and the tables of the calculator's page. Numbers are read and written as text. */
"use strict";
(function () {
  const { CASES, STEPS, HOURS, assumed, reckon } = globalThis.spendgateCalculator;
  const TITLES = {
    caching: "answers served again",
    context: "histories fitted",
    instructions: "instructions shortened",
    compression: "tool results compacted",
    routing: "cheaper model where it can",
    batch: "what can wait, in batches",
  };
  const form = document.getElementById("form");
  const labelOf = (name) => form.elements[name].labels[0].textContent.trim();

  /** A decimal number as a whole one of its `places`-th parts: ("2.5", 6) is 2500000n. */
  function scaled(name, places, most) {
    const text = form.elements[name].value.trim().replaceAll(",", "");
    const found = /^(\d{1,15})(?:\.(\d+))?$/.exec(text);
    const rest = (found && found[2]) || "";
    if (!found || rest.length > places)
      throw new RangeError(`${labelOf(name)}: a number with at most ${places} decimals`);
    const value = BigInt(found[1] + rest.padEnd(places, "0"));
    if (value > BigInt(most)) throw new RangeError(`${labelOf(name)}: too large`);
    return value;
  }

  const percent = (name) => Number(scaled(name, 2, 10000));
  const count = (name) => scaled(name, 0, 10n ** 12n);
  const empty = (name) => form.elements[name].value.trim() === "";

  function prices(kind) {
    const price = (part) => Number(scaled(kind + part, 6, 10 ** 9));
    return { input: price("Input"), cached: price("Cached"), output: price("Output") };
  }

  function workload() {
    const turns = Number(scaled("turns", 0, 1000));
    if (turns < 1) throw new RangeError("Turns of a conversation: at least 1");
    const [system, fresh, output] = [count("system"), count("new"), count("output")];
    const requests = empty("requests") && !empty("spend") ? 10n ** 6n : count("requests");
    const strong = (requests * BigInt(percent("strongShare"))) / 10000n;
    const row = (name, number, rates) => ({
      name,
      requests: number,
      instructionTokens: number * system,
      historyHalfTokens: number * BigInt(turns - 1) * (fresh + output),
      newTokens: number * fresh,
      outputTokens: number * output,
      prices: rates,
    });
    const cheap = prices("cheap");
    return {
      turns,
      cachedBp: percent("cached"),
      toolBp: percent("tools"),
      batchDiscountBp: 5000,
      spendNanos: empty("spend") ? null : scaled("spend", 9, 10n ** 18n),
      cheap,
      rows: [row("strong", strong, prices("strong")), row("cheap", requests - strong, cheap)],
      rates: assumed({
        repeatBp: empty("repeat") ? null : percent("repeat"),
        turns,
        providerCaches: percent("cached") > 0,
        waitBp: percent("wait"),
      }),
      hours: HOURS,
      hourlyNanos: scaled("rate", 9, 10n ** 18n),
      runningNanos: scaled("running", 9, 10n ** 18n),
    };
  }

  /** Nano-USD as dollars and cents, half to even. */
  function usd(nanos) {
    const size = nanos < 0n ? -nanos : nanos;
    let cents = size / 10000000n;
    const twice = 2n * (size % 10000000n);
    if (twice > 10000000n || (twice === 10000000n && cents % 2n === 1n)) cents += 1n;
    const whole = (cents / 100n).toString().replace(/\B(?=(\d{3})+$)/g, ",");
    return `${nanos < 0n ? "-" : ""}$${whole}.${(cents % 100n).toString().padStart(2, "0")}`;
  }

  function element(kind, text) {
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  }

  function table(title, headers, rows) {
    const made = document.createElement("table");
    made.append(element("caption", title));
    const head = made.createTHead().insertRow();
    for (const header of headers) {
      const cell = element("th", header);
      cell.scope = "col";
      head.append(cell);
    }
    const body = made.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const each of row) {
        const cell = line.insertCell();
        if (typeof each === "string") cell.textContent = each;
        else cell.append(each);
      }
    }
    return made;
  }

  function bar(part, whole, label) {
    const made = document.createElement("meter");
    made.max = 1000;
    made.value = Number((1000n * part) / whole);
    made.setAttribute("aria-label", label);
    return made;
  }

  function tables(work, found) {
    const each = (read) => CASES.map((name) => read(found.cases[name]));
    const saved = STEPS.map((step, at) => {
      const rates = work.rates[step].map((points) => `${points / 100}`).join(" / ");
      const alone = usd(found.cases.expected.steps[at].aloneNanos);
      return [TITLES[step], ...each((one) => usd(one.steps[at].savedNanos)), alone, rates];
    });
    saved.push(["all", ...each((one) => usd(one.savedNanos)), "", ""]);
    const whole = found.baselineNanos;
    const months = [["now", usd(whole), bar(whole, whole, "now")]];
    for (const name of CASES) {
      const { leftNanos } = found.cases[name];
      months.push([name, usd(leftNanos), bar(leftNanos, whole, name)]);
    }
    const order = found.roadmap.map((task, at) => [
      `${at + 1}. ${TITLES[task.step]}`,
      `${task.hours}`,
      usd(task.monthNanos),
      usd(task.soFarNanos),
    ]);
    const back = CASES.map((name) => {
      const { workNanos, monthNanos, tenthsOfMonths: tenths, yearPercent } = found.cases[name].payback;
      const after = tenths === null ? "never" : `${tenths / 10n}.${tenths % 10n} months`;
      return [name, usd(workNanos), usd(monthNanos), after, yearPercent === null ? "-" : `${yearPercent} %`];
    });
    return [
      table("What a month costs", ["", "USD", ""], months),
      table(
        "Saved a month, each step of what the steps before it left",
        ["step", ...CASES, "expected, alone", "assumed, %"],
        saved,
      ),
      table("What to do first", ["step", "hours", "a month", "so far"], order),
      table("Return", ["", "work", "a month, net", "paid after", "first year"], back),
    ];
  }

  function refresh() {
    const problem = document.getElementById("error");
    const result = document.getElementById("result");
    try {
      const work = workload();
      result.replaceChildren(...tables(work, reckon(work)));
      problem.textContent = "";
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      problem.textContent = error.message;
      result.replaceChildren();
    }
  }

  form.addEventListener("input", refresh);
  form.addEventListener("submit", (event) => event.preventDefault());
  refresh();
})();
