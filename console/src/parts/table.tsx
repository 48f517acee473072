// A table: numbers to the right, sorted by a click or the keyboard, scrolled where it is too wide.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

export interface Column<Row> {
  name: string;
  cell: (row: Row) => ComponentChildren;
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
  const column = sort && props.columns.find((each) => each.name === sort[0]);
  const rows = column?.by
    ? [...props.rows].sort((a, b) => {
        const [x, y] = [column.by!(a), column.by!(b)];
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
                class={each.number ? "right" : ""}
                aria-sort={sort?.[0] === each.name ? sort[1] : undefined}
              >
                {each.by ? (
                  <button type="button" onClick={() => turn(each.name, each.number)}>
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
              {props.columns.map((each) => (
                <td key={each.name} class={`${each.number ? "right num" : ""} ${each.class ?? ""}`}>
                  {each.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
        {props.foot && (
          <tfoot>
            <tr>
              {props.foot.map((cell, at) => (
                <td key={at} class={props.columns[at]?.number ? "right num" : ""}>
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
