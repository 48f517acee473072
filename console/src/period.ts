// Spans of time, in UTC as the books count them.

export interface Period {
  name: string;
  start: string;
  end: string;
  /** The span before it, as long. */
  before: [string, string];
  hourly: boolean;
}

export const PERIODS: [string, string][] = [
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
  ["month", "This month"],
  ["last-month", "Last month"],
];

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export function startOfDay(now: Date): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()));
}

export function startOfMonth(now: Date, back = 0): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1));
}

export function periodOf(key: string | null, now = new Date()): Period {
  // A coming hour's end: what is booked now belongs to it.
  const end = new Date((Math.floor(now.getTime() / HOUR) + 1) * HOUR);
  const today = startOfDay(now);
  const made = (name: string, from: Date, to: Date, hourly = false): Period => {
    const length = to.getTime() - from.getTime();
    const before = new Date(from.getTime() - length);
    return {
      name,
      start: from.toISOString(),
      end: to.toISOString(),
      before: [before.toISOString(), from.toISOString()],
      hourly,
    };
  };
  const days = (count: number) => new Date(today.getTime() - (count - 1) * DAY);
  switch (key) {
    case "24h":
      return made("Last 24 hours", new Date(end.getTime() - DAY), end, true);
    case "7d":
      return made("Last 7 days", days(7), end);
    case "month":
      return made("This month", startOfMonth(now), end);
    case "last-month":
      return made("Last month", startOfMonth(now, 1), startOfMonth(now));
    default:
      return made("Last 30 days", days(30), end);
  }
}

/** Every day or hour of a period, as the books name them. */
export function ticks(period: Period): string[] {
  const step = period.hourly ? HOUR : DAY;
  const found: string[] = [];
  for (let at = Date.parse(period.start); at < Date.parse(period.end); at += step) {
    const text = new Date(at).toISOString();
    found.push(period.hourly ? text.slice(0, 19) + "Z" : text.slice(0, 10));
  }
  return found;
}
