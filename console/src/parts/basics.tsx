// Small things that every screen is made of.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refused } from "../api";
import type { Asked } from "../ask";
import { ratio, share, usd, usdExact } from "../money";

export function Money({ nanos, signed }: { nanos: bigint; signed?: boolean }): JSX.Element {
  const text = usd(nanos);
  return (
    <span class="num" title={usdExact(nanos)}>
      {signed && nanos > 0n ? "+" : ""}
      {text}
    </span>
  );
}

/** A part of the page with a heading. */
export function Sheet(props: {
  title?: ComponentChildren;
  actions?: ComponentChildren;
  note?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}): JSX.Element {
  return (
    <section class={`sheet ${props.class ?? ""}`}>
      {(props.title || props.actions) && (
        <header class="sheet-head">
          {props.title && <h2>{props.title}</h2>}
          {props.actions && <div class="actions">{props.actions}</div>}
        </header>
      )}
      {props.children}
      {props.note && <p class="note">{props.note}</p>}
    </section>
  );
}

export function Empty(props: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <strong>{props.title}</strong>
      {props.children && <div>{props.children}</div>}
    </div>
  );
}

export function Problem({ text, again }: { text: string; again?: () => void }): JSX.Element {
  return (
    <div class="problem" role="alert">
      <span>{text}</span>
      {again && (
        <button type="button" class="quiet" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** The answer to a question, or that it is on its way, or why there is none. */
export function Answer<T>(props: {
  of: Asked<T>;
  rows?: number;
  children: (data: T) => ComponentChildren;
}): JSX.Element {
  const { data, error, again } = props.of;
  if (data !== undefined) {
    return (
      <>
        {error && <Problem text={`These numbers are old: ${error.message}.`} again={again} />}
        {props.children(data)}
      </>
    );
  }
  if (error) return <Problem text={sentence(error.message)} again={again} />;
  return <Waiting rows={props.rows ?? 4} />;
}

export function Waiting({ rows }: { rows: number }): JSX.Element {
  return (
    <div class="waiting" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, at) => (
        <i key={at} />
      ))}
    </div>
  );
}

export const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

/** Why something was refused, for people. */
export const why = (error: unknown): string =>
  sentence(error instanceof Refused ? error.message : String(error));

/** The end of a form in a dialog. */
export function FormEnd(props: { submit: string; onCancel: () => void }): JSX.Element {
  return (
    <div class="end">
      <button type="button" class="quiet" onClick={props.onCancel}>
        Cancel
      </button>
      <button type="submit" class="primary">
        {props.submit}
      </button>
    </div>
  );
}

export function Badge(props: { kind?: string; children: ComponentChildren }): JSX.Element {
  return <span class={`badge ${props.kind ?? ""}`}>{props.children}</span>;
}

/** A share of a whole as a bar: `parts` are [class, 0 to 1]. */
export function Bar(props: { parts: [string, number][]; label: string }): JSX.Element {
  return (
    <div class="bar" role="img" aria-label={props.label}>
      {props.parts.map(([kind, part], at) => (
        <i key={at} class={kind} style={{ width: `${Math.max(0, Math.min(1, part)) * 100}%` }} />
      ))}
    </div>
  );
}

/** An amount's share of the whole, as a bar. */
export function Share({ of, whole }: { of: bigint; whole: bigint }): JSX.Element {
  return (
    <Bar
      parts={[["spent", ratio(of, whole)]]}
      label={`${share(of, whole)} of all spending`}
    />
  );
}

export function Field(props: {
  label: string;
  hint?: ComponentChildren;
  problem?: string;
  children: ComponentChildren;
}): JSX.Element {
  return (
    <label class="field">
      <span>{props.label}</span>
      {props.children}
      {props.problem ? (
        <em class="bad">{props.problem}</em>
      ) : (
        props.hint && <em>{props.hint}</em>
      )}
    </label>
  );
}

export function Select(props: {
  label: string;
  value: string;
  options: [string, string][];
  onChange: (value: string) => void;
}): JSX.Element {
  return (
    <select
      aria-label={props.label}
      value={props.value}
      onChange={(event) => props.onChange(event.currentTarget.value)}
    >
      {props.options.map(([value, text]) => (
        <option key={value} value={value} selected={value === props.value}>
          {text}
        </option>
      ))}
    </select>
  );
}

/** A window above the page: Escape and the button close it, focus stays within. */
export function Dialog(props: {
  title: string;
  onClose: () => void;
  wide?: boolean;
  children: ComponentChildren;
}): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current!;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={box}
      class={props.wide ? "wide" : ""}
      aria-label={props.title}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <header class="dialog-head">
        <h2>{props.title}</h2>
        <button type="button" class="quiet icon" aria-label="Close" onClick={props.onClose}>
          ✕
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }): JSX.Element {
  const [done, set] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => set(false), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set(true);
    } catch {
      say("The browser does not allow copying: select the text instead.");
    }
  };
  return (
    <button type="button" class="quiet" onClick={copy}>
      {done ? "Copied" : label}
    </button>
  );
}

let tell: (text: string) => void = () => {};
/** Says something at the foot of the page, to screen readers too. */
export const say = (text: string): void => tell(text);

export function Notices(): JSX.Element {
  const [text, set] = useState("");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    tell = (told) => {
      set(told);
      clearTimeout(timer);
      timer = setTimeout(() => set(""), 6000);
    };
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class={`notice ${text ? "shown" : ""}`} role="status" aria-live="polite">
      {text}
    </div>
  );
}

/** A number with its name, a line under it, and where to read on. */
export function Figure(props: {
  name: string;
  value: ComponentChildren;
  more?: ComponentChildren;
  tone?: "good" | "bad" | "";
}): JSX.Element {
  return (
    <div class="figure">
      <dt>{props.name}</dt>
      <dd>
        <b>{props.value}</b>
        {props.more && <small class={props.tone ?? ""}>{props.more}</small>}
      </dd>
    </div>
  );
}
