// The frame around every screen: where one can go, whose books these are, how to leave.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { signOut } from "../api";
import { href, Link, usePlace } from "../place";
import type { Who } from "../types";
import { Notices } from "./basics";

const MENU: [string, [string, string][]][] = [
  ["Spend", [["overview", "Overview"], ["explore", "Explore"], ["requests", "Requests"]]],
  ["Control", [["budgets", "Budgets"], ["keys", "Keys"], ["alerts", "Alerts"]]],
  ["Quality", [["cache", "Cache"], ["router", "Router"]]],
  ["Improve", [["opportunities", "Opportunities"], ["playground", "Playground"]]],
  ["Reference", [["prices", "Prices"]]],
];

type Theme = "auto" | "light" | "dark";
const THEMES: Record<Theme, [Theme, string]> = {
  auto: ["light", "Theme: as the system"],
  light: ["dark", "Theme: light"],
  dark: ["auto", "Theme: dark"],
};

export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M7 26V13a9 9 0 0 1 18 0v13" />
      <path class="bars" d="M16 13v13M11.5 17.500h9M11.5 22h9" />
    </svg>
  );
}

function useThemeChoice(): [Theme, () => void] {
  const [theme, set] = useState<Theme>(() => (sessionStorage.getItem("theme") as Theme) || "auto");
  useEffect(() => {
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    sessionStorage.setItem("theme", theme);
  }, [theme]);
  return [theme, () => set((old) => THEMES[old][0])];
}

export function Shell(props: { who: Who; children: ComponentChildren }): JSX.Element {
  const { path } = usePlace();
  const [open, setOpen] = useState(false);
  const [theme, turn] = useThemeChoice();
  const main = useRef<HTMLElement>(null);
  const now = path.split("/")[0] === "request" ? "requests" : path.split("/")[0];
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    // A new screen begins at its heading, for keyboards and screen readers too.
    if (!first.current) {
      scrollTo(0, 0);
      main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [path]);
  const leave = async () => {
    await signOut().catch(() => {});
    location.assign("/console");
  };
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <button
          type="button"
          class="icon burger"
          aria-expanded={open}
          aria-controls="menu"
          aria-label="Menu"
          onClick={() => setOpen(!open)}
        >
          ☰
        </button>
        <Link to={href("overview")} class="brand">
          <Mark />
          Spendgate
        </Link>
      </header>
      <nav id="menu" class={open ? "open" : ""} aria-label="Screens">
        <Link to={href("overview")} class="brand">
          <Mark />
          Spendgate
        </Link>
        {MENU.map(([group, screens]) => (
          <div key={group} class="group">
            <span>{group}</span>
            <ul>
              {screens.map(([screen, name]) => (
                <li key={screen}>
                  <Link to={href(screen)} aria-current={now === screen ? "page" : undefined}>
                    {name}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ))}
        <div class="self">
          <p>
            <b>{props.who.tenant}</b>
            <span>
              {props.who.key_id} · {props.who.role}
            </span>
          </p>
          <button type="button" onClick={turn}>
            {THEMES[theme][1]}
          </button>
          <button type="button" onClick={leave}>
            Sign out
          </button>
        </div>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        {props.children}
      </main>
      <Notices />
    </div>
  );
}

/** A screen: its heading, what is chosen for all of it, its parts. */
export function Screen(props: {
  title: string;
  lead?: ComponentChildren;
  tools?: ComponentChildren;
  children: ComponentChildren;
}): JSX.Element {
  useEffect(() => {
    document.title = `${props.title} · Spendgate`;
  }, [props.title]);
  return (
    <>
      <div class="screen-head">
        <div>
          <h1 tabIndex={-1}>{props.title}</h1>
          {props.lead && <p>{props.lead}</p>}
        </div>
        {props.tools && <div class="tools">{props.tools}</div>}
      </div>
      {props.children}
    </>
  );
}
