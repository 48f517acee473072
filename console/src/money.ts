// Whole nano-USD in, what people read out. Nothing is added up in floating point.

export const NANOS_PER_USD = 1_000_000_000n;

const grouped = (whole: bigint): string => whole.toString().replace(/\B(?=(\d{3})+$)/g, ",");

/** Digits behind the point that tell something of an amount of this size. */
function decimalsOf(nanos: bigint): number {
  const size = nanos < 0n ? -nanos : nanos;
  if (size === 0n || size >= 10_000n * NANOS_PER_USD) return size === 0n ? 2 : 0;
  if (size >= NANOS_PER_USD / 2n) return 2;
  // Three digits that are not zero.
  return Math.min(9, 12 - size.toString().length);
}

/** An amount with so many decimals, rounded half away from zero. */
export function usdFixed(nanos: bigint, decimals: number): string {
  const step = 10n ** BigInt(9 - decimals);
  const size = nanos < 0n ? -nanos : nanos;
  const rounded = (size + step / 2n) / step;
  const unit = 10n ** BigInt(decimals);
  const sign = nanos < 0n && rounded > 0n ? "−" : "";
  const part = decimals ? "." + (rounded % unit).toString().padStart(decimals, "0") : "";
  return `${sign}$${grouped(rounded / unit)}${part}`;
}

/** "$12.34", "$0.0123", "$0.000027": as many digits as tell something. */
export function usd(nanos: bigint): string {
  return usdFixed(nanos, decimalsOf(nanos));
}

/** Decimals that a column of amounts is shown with: those that tell the largest one well. */
export function placesOf(amounts: bigint[]): number {
  const most = amounts.reduce((all, each) => {
    const size = each < 0n ? -each : each;
    return size > all ? size : all;
  }, 0n);
  if (most >= 100n * NANOS_PER_USD || most === 0n) return 2;
  if (most >= NANOS_PER_USD / 10n) return 4;
  return most >= NANOS_PER_USD / 1_000n ? 6 : 9;
}

/** In a column: "<$0.0001" where the column's decimals would hide that there is something. */
export function usdIn(nanos: bigint, places: number): string {
  const size = nanos < 0n ? -nanos : nanos;
  if (size !== 0n && size * 2n < 10n ** BigInt(9 - places)) {
    return `${nanos < 0n ? "−" : ""}<${usdFixed(10n ** BigInt(9 - places), places)}`;
  }
  return usdFixed(nanos, places);
}

/** Every digit, for titles and copies. */
export function usdExact(nanos: bigint): string {
  return usdFixed(nanos, 9).replace(/(\.\d\d\d*?)0+$/, "$1");
}

/** "$1.2k": for the axes of charts. */
export function usdShort(dollars: number): string {
  const size = Math.abs(dollars);
  if (size >= 1e6) return `$${+(dollars / 1e6).toFixed(1)}M`;
  if (size >= 1e3) return `$${+(dollars / 1e3).toFixed(1)}k`;
  if (size >= 1 || size === 0) return `$${+dollars.toFixed(2)}`;
  return `$${+dollars.toPrecision(2)}`;
}

/** Dollars as a number, for drawing only. */
export const drawn = (nanos: bigint): number => Number(nanos) / 1e9;

/** "12.50" to nano-USD; null when it is no amount of at most nine decimals. */
export function nanosOf(text: string): bigint | null {
  const found = /^\$?\s*(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text.trim().replaceAll(",", ""));
  if (!found) return null;
  return BigInt(found[1]!) * NANOS_PER_USD + BigInt((found[2] ?? "").padEnd(9, "0"));
}

/** What a field for dollars starts with. */
export function usdField(nanos: bigint): string {
  return usdExact(nanos).slice(1).replaceAll(",", "");
}

/** Pico-USD a token as "$2.50" a million tokens. */
export function perMillion(picos: bigint): string {
  return usd(picos * 1_000n);
}

/** Share of two amounts in tenths of a percent, as "12.3 %". */
export function share(part: bigint, whole: bigint): string {
  if (whole === 0n) return "–";
  const permille = (part * 1_000n) / whole;
  const sign = permille < 0n ? "−" : "";
  const size = permille < 0n ? -permille : permille;
  return `${sign}${size / 10n}.${size % 10n} %`;
}

export const ratio = (part: bigint, whole: bigint): number =>
  whole === 0n ? 0 : Number((part * 10_000n) / whole) / 10_000;
