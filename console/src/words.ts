// Numbers, times and names as people read them.

export const big = (text: string | undefined): bigint => BigInt(text || "0");

export const count = (value: string | number | bigint | undefined): string =>
  BigInt(Math.trunc(Number(value ?? 0))).toString().replace(/\B(?=(\d{3})+$)/g, ",");

export function ms(value: number): string {
  if (value >= 1_000) return `${(value / 1000).toFixed(value >= 10_000 ? 1 : 2)} s`;
  if (value >= 100) return `${count(Math.round(value))} ms`;
  return `${+value.toFixed(1)} ms`;
}

export const percent = (part: number, digits = 1): string => `${(part * 100).toFixed(digits)} %`;

/** "cheapest capable" for ROUTE_REASON_CHEAPEST_CAPABLE. */
export const word = (name: string, prefix = ""): string =>
  name.replace(prefix, "").toLowerCase().replaceAll("_", " ");

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const two = (value: number): string => String(value).padStart(2, "0");

/** "23 Nov, 14:05" in UTC, as the books count. */
export function moment(text: string | undefined): string {
  if (!text) return "–";
  const at = new Date(text);
  return `${day(text)}, ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}

export function day(text: string): string {
  const at = new Date(text);
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
}

/** "3 h ago" */
export function ago(text: string | undefined, now = Date.now()): string {
  if (!text) return "–";
  const seconds = Math.max(0, (now - Date.parse(text)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** "in 3 days" */
export function ahead(text: string | undefined, now = Date.now()): string {
  if (!text) return "";
  const seconds = (Date.parse(text) - now) / 1000;
  if (seconds <= 0) return "now";
  if (seconds < 3600) return `in ${Math.ceil(seconds / 60)} min`;
  if (seconds < 2 * 86400) return `in ${Math.ceil(seconds / 3600)} h`;
  return `in ${Math.floor(seconds / 86400)} days`;
}

export const CAUSES: Record<string, string> = {
  SAVING_CAUSE_CACHE: "Cache",
  SAVING_CAUSE_ROUTING: "Routing",
  SAVING_CAUSE_COMPRESSION: "Compression",
};
export const CAUSE_CLASS: Record<string, string> = {
  SAVING_CAUSE_CACHE: "cache",
  SAVING_CAUSE_ROUTING: "routing",
  SAVING_CAUSE_COMPRESSION: "compression",
};

/** What stands where a caller said nothing. */
export const named = (value: string): string => value || "(not said)";
