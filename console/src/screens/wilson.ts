/** The share of wrong hits that is at most so, 19 times in 20: Wilson's upper bound. */
export function wrongAtMost(wrong: number, hits: number): number {
  if (!hits) return 1;
  const z = 1.645;
  const share = wrong / hits;
  const root = Math.sqrt((share * (1 - share)) / hits + (z * z) / (4 * hits * hits));
  return (share + (z * z) / (2 * hits) + z * root) / (1 + (z * z) / hits);
}
