// A table: numbers to the right, sorted by a click or the keyboard, scrolled where it is too wide.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { placesOf, usdExact, usdIn } from "../money";

export interface Column<Row> {
  name: string;
  cell?: (row: Row) => ComponentChildren;
  /** An amount in nano-USD, in place of `cell`: the whole column has the same decimals. */
  money?: (row: Row) => bigint;
  /** What it is sorted by. Without it the column is not sorted. */
  by?: (row: Row) => number | bigint | string;
  number?: boolean;
  class?: string;
}

export function Table<Row>(props: {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  key_: (row: Row) => string;
  foot?: ComponentChildren[];
  sort?: [string, "ascending" | "descending"];
  rowClass?: (row: Row) => string;
}): JSX.Element {
  const [sort, set] = useState(props.sort);
  const places = props.columns.map((each) => (each.money ? placesOf(props.rows.map(each.money)) : 0));
  const column = sort && props.columns.find((each) => each.name === sort[0]);
  const by = column?.by ?? column?.money;
  const rows = by
    ? [...props.rows].sort((a, b) => {
        const [x, y] = [by(a), by(b)];
        const order = x < y ? -1 : x > y ? 1 : 0;
        return sort![1] === "ascending" ? order : -order;
      })
    : props.rows;
  const turn = (name: string, number?: boolean) =>
    set((old) =>
      old?.[0] === name
        ? [name, old[1] === "ascending" ? "descending" : "ascending"]
        : [name, number ? "descending" : "ascending"],
    );
  return (
    <div class="scroll" role="region" aria-label={props.label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {props.columns.map((each) => (
              <th
                key={each.name}
                scope="col"
                class={each.number || each.money ? "right" : ""}
                aria-sort={sort?.[0] === each.name ? sort[1] : undefined}
              >
                {each.by || each.money ? (
                  <button
                    type="button"
                    onClick={() => turn(each.name, each.number || !!each.money)}
                  >
                    {each.name}
                  </button>
                ) : (
                  each.name || <span class="hidden">Actions</span>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={props.key_(row)} class={props.rowClass?.(row)}>
              {props.columns.map((each, at) => (
                <td
                  key={each.name}
                  class={`${each.number || each.money ? "right num" : ""} ${each.class ?? ""}`}
                  title={each.money && usdExact(each.money(row))}
                >
                  {each.money ? usdIn(each.money(row), places[at]!) : each.cell?.(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
        {props.foot && (
          <tfoot>
            <tr>
              {props.foot.map((cell, at) => (
                <td key={at} class={props.columns[at]?.number || props.columns[at]?.money ? "right num" : ""}>
                  {cell}
                </td>
              ))}
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}
