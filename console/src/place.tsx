// Where one is: the address is the state, so that every view can be sent to somebody.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Place {
  /** "overview", "request/ID" */
  path: string;
  query: URLSearchParams;
}

const BASE = "/console/";
const listeners = new Set<() => void>();

export function here(): Place {
  const path = location.pathname.slice(BASE.length).replace(/\/$/, "");
  return { path: path || "overview", query: new URLSearchParams(location.search) };
}

export function href(path: string, query: Record<string, string> = {}): string {
  const said = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  const text = said.toString();
  return BASE + path + (text ? `?${text}` : "");
}

export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  for (const listener of listeners) listener();
}

/** Changes part of the query of the present place. */
export function change(part: Record<string, string>): void {
  const { path, query } = here();
  go(href(path, { ...Object.fromEntries(query), ...part }), true);
}

export function usePlace(): Place {
  const [place, set] = useState(here);
  useEffect(() => {
    const hear = () => set(here());
    listeners.add(hear);
    addEventListener("popstate", hear);
    return () => {
      listeners.delete(hear);
      removeEventListener("popstate", hear);
    };
  }, []);
  return place;
}

interface LinkProps {
  to: string;
  children: ComponentChildren;
  class?: string;
  "aria-current"?: "page" | undefined;
}

/** A link within the console. */
export function Link({ to, children, ...rest }: LinkProps): JSX.Element {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} onClick={follow} {...rest}>
      {children}
    </a>
  );
}
