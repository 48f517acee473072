// What rows of a breakdown say together.
import type { Sums } from "../types";
import { big } from "../words";

export const savingsOf = (sums: Pick<Sums, "savings">, cause: string): bigint =>
  sums.savings
    .filter((each) => each.cause === cause)
    .reduce((all, each) => all + big(each.saved_nanos), 0n);

export const savedOf = (sums: Pick<Sums, "savings">): bigint =>
  sums.savings.reduce((all, each) => all + big(each.saved_nanos), 0n);
