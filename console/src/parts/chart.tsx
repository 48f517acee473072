// Charts by uPlot. A canvas says nothing to a screen reader: the same numbers come as a table.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

export interface Series {
  name: string;
  /** A colour's name in the style sheet, "--cache". */
  colour: string;
  values: number[];
}

export interface StackProps {
  label: string;
  /** Days or hours as the books name them. */
  ticks: string[];
  series: Series[];
  format: (value: number) => string;
  height?: number;
}

const colourOf = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const FONT = '12px "IBM Plex Sans Variable", sans-serif';

/** Draws again when the theme changes. */
export function useTheme(): number {
  const [turn, set] = useState(0);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const hear = () => set((old) => old + 1);
    query.addEventListener("change", hear);
    const watcher = new MutationObserver(hear);
    watcher.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      query.removeEventListener("change", hear);
      watcher.disconnect();
    };
  }, []);
  return turn;
}

function options(props: StackProps, width: number, sums: number[][]): uPlot.Options {
  const axis = { stroke: colourOf("--soft"), font: FONT };
  const grid = { stroke: colourOf("--line"), width: 1 };
  const bars = uPlot.paths.bars!({ size: [0.74, 42], radius: 0.08 });
  const hourly = props.ticks[0]?.includes("T");
  return {
    width,
    height: props.height ?? 240,
    padding: [8, width < 500 ? 20 : 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: () => [-0.6, props.ticks.length - 0.4] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        ticks: { show: false },
        splits: () => someOf(props.ticks.length, Math.max(2, Math.floor(width / 90))),
        values: (_, at) => at.map((each) => tickName(props.ticks[each] ?? "", hourly)),
        gap: 6,
        size: 28,
      },
      {
        ...axis,
        grid,
        ticks: { show: false },
        size: 52,
        values: (_, at) => at.map((each) => (each === 0 ? "" : props.format(each))),
        space: 44,
      },
    ],
    series: [
      {},
      // The whole first, so that each next one covers all but its own part.
      ...sums.map((_, at) => {
        const colour = colourOf(props.series[props.series.length - 1 - at]!.colour);
        return { fill: colour, stroke: colour, width: 0, paths: bars, points: { show: false } };
      }),
    ],
  };
}

function someOf(length: number, most: number): number[] {
  const step = Math.max(1, Math.ceil(length / most));
  const found: number[] = [];
  for (let at = length - 1; at >= 0; at -= step) found.unshift(at);
  return found;
}

export function tickName(tick: string, hourly = tick.includes("T")): string {
  if (!tick) return "";
  if (hourly) return tick.slice(11, 16);
  const at = new Date(tick + "T00:00:00Z");
  return at.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}

/** Bars on top of one another, one a tick. */
export function Stack(props: StackProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const [at, setAt] = useState<number | null>(null);
  const key = JSON.stringify([props.ticks, props.series]);
  useEffect(() => {
    const place = box.current!;
    const sums: number[][] = [];
    const running = props.ticks.map(() => 0);
    for (const series of props.series) {
      series.values.forEach((value, index) => (running[index]! += Math.max(0, value)));
      sums.unshift([...running]);
    }
    const data = [props.ticks.map((_, index) => index), ...sums] as uPlot.AlignedData;
    const made = options(props, place.clientWidth || 600, sums);
    made.hooks = { setCursor: [(plot) => setAt(plot.cursor.idx ?? null)] };
    const plot = new uPlot(made, data, place);
    const watcher = new ResizeObserver(() => {
      if (place.clientWidth) plot.setSize({ width: place.clientWidth, height: made.height });
    });
    watcher.observe(place);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [key, theme, props.height]);
  const shown = at !== null && at < props.ticks.length ? at : null;
  return (
    <figure class="chart">
      <figcaption>
        <ul class="legend">
          {props.series.map((series) => (
            <li key={series.name}>
              <i style={{ background: `var(${series.colour})` }} />
              {series.name}
              {shown !== null && <b class="num">{props.format(series.values[shown]!)}</b>}
            </li>
          ))}
        </ul>
        <span class="when" aria-hidden="true">
          {shown !== null ? tickName(props.ticks[shown]!) : ""}
        </span>
      </figcaption>
      <div ref={box} role="img" aria-label={`${props.label}. The numbers are in the table below.`} />
      <details>
        <summary>As a table</summary>
        <div class="scroll" role="region" aria-label={`${props.label}, as a table`} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">{props.ticks[0]?.includes("T") ? "Hour (UTC)" : "Day (UTC)"}</th>
                {props.series.map((series) => (
                  <th key={series.name} scope="col" class="right">
                    {series.name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {props.ticks.map((tick, index) => (
                <tr key={tick}>
                  <th scope="row">{tick.replace("T", " ").slice(0, 16)}</th>
                  {props.series.map((series) => (
                    <td key={series.name} class="right num">
                      {props.format(series.values[index]!)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

export interface Point {
  name: string;
  x: number;
  y: number;
  low: number;
  high: number;
  kind: "curve" | "now" | "baseline";
}

/** Quality against dollars: a line through the bounds, with intervals, and what stands beside it. */
export function Curve(props: {
  label: string;
  points: Point[];
  formatX: (value: number) => string;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const key = JSON.stringify(props.points);
  useEffect(() => {
    const place = box.current!;
    const points = [...props.points].sort((a, b) => a.x - b.x);
    const only = (kinds: string[], pick: (point: Point) => number) =>
      points.map((point) => (kinds.includes(point.kind) ? pick(point) : null));
    const axis = {
      stroke: colourOf("--soft"),
      font: FONT,
      labelFont: FONT,
      labelSize: 22,
      ticks: { show: false },
    };
    const grid = { stroke: colourOf("--line"), width: 1 };
    const line = colourOf("--routing");
    const dot = (colour: string, size: number) => ({
      points: { show: true, size, fill: colour, stroke: colour },
      stroke: colour,
    });
    const band = { stroke: "transparent", points: { show: false } };
    const most = Math.max(...points.map((point) => point.x), 1e-12);
    // Bounds differ by a few percent: the scale begins a little below the lowest.
    const least = Math.min(...points.map((point) => point.low));
    const floor = Math.max(0, Math.floor(least * 20 - 0.4) / 20);
    const plot = new uPlot(
      {
        width: place.clientWidth || 600,
        height: 300,
        legend: { show: false },
        cursor: { show: false },
        padding: [12, 16, 0, 0],
        scales: { x: { time: false, range: () => [0, most * 1.1] }, y: { range: () => [floor, 1.004] } },
        axes: [
          { ...axis, grid, size: 30, values: (_, at) => at.map(props.formatX), label: "Dollars a call" },
          {
            ...axis,
            grid,
            size: 56,
            values: (_, at) => at.map((each) => `${Math.round(each * 100)} %`),
            label: "Quality",
          },
        ],
        bands: [{ series: [2, 1], fill: colourOf("--band") }],
        series: [
          {},
          { ...band },
          { ...band },
          { width: 2, ...dot(line, 7), spanGaps: true },
          { width: 0, ...dot(colourOf("--accent"), 14) },
          { width: 0, ...dot(colourOf("--ink"), 7) },
        ],
      },
      [
        points.map((point) => point.x),
        only(["curve", "now"], (point) => point.low),
        only(["curve", "now"], (point) => point.high),
        only(["curve", "now"], (point) => point.y),
        only(["now"], (point) => point.y),
        only(["baseline"], (point) => point.y),
      ] as uPlot.AlignedData,
      place,
    );
    const watcher = new ResizeObserver(() => {
      if (place.clientWidth) plot.setSize({ width: place.clientWidth, height: 300 });
    });
    watcher.observe(place);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [key, theme]);
  return (
    <figure class="chart">
      <figcaption>
        <ul class="legend">
          <li>
            <i style={{ background: "var(--routing)" }} />
            each bound, with its 95 % interval
          </li>
          <li>
            <i style={{ background: "var(--accent)" }} />
            the bound that holds
          </li>
          <li>
            <i style={{ background: "var(--ink)" }} />
            every call to the baseline
          </li>
        </ul>
      </figcaption>
      <div ref={box} role="img" aria-label={`${props.label}. The numbers are in the table below.`} />
    </figure>
  );
}
