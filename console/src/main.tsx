import type { JSX } from "preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { who, whenSignedOut } from "./api";
import { Empty } from "./parts/basics";
import { Screen, Shell } from "./parts/shell";
import { href, Link, usePlace } from "./place";
import { Alerts } from "./screens/alerts";
import { Budgets } from "./screens/budgets";
import { Cache } from "./screens/cache";
import { Explore } from "./screens/explore";
import { Gate } from "./screens/gate";
import { Keys } from "./screens/keys";
import { Opportunities } from "./screens/opportunities";
import { Overview } from "./screens/overview";
import { Playground } from "./screens/playground";
import { Prices } from "./screens/prices";
import { OneRequest } from "./screens/request";
import { Requests } from "./screens/requests";
import { Router } from "./screens/router";
import "./styles.css";
import type { Who } from "./types";

const SCREENS: Record<string, (props: { who: Who }) => JSX.Element> = {
  overview: Overview,
  explore: Explore,
  requests: Requests,
  budgets: Budgets,
  keys: Keys,
  cache: Cache,
  router: Router,
  opportunities: Opportunities,
  alerts: Alerts,
  playground: Playground,
  prices: Prices,
};

function App(): JSX.Element | null {
  const [me, set] = useState<Who | null | undefined>();
  useEffect(() => {
    whenSignedOut(() => set(null));
    who().then(
      (told) => set(told.signed_in ? told : null),
      () => set(null),
    );
  }, []);
  if (me === undefined) return null;
  if (me === null) return <Gate onIn={set} />;
  return (
    <Shell who={me}>
      <At who={me} />
    </Shell>
  );
}

function At({ who }: { who: Who }): JSX.Element {
  const { path } = usePlace();
  const [screen, id] = path.split("/");
  if (screen === "request" && id) return <OneRequest id={decodeURIComponent(id)} who={who} />;
  const Found = SCREENS[path];
  if (Found) return <Found who={who} />;
  return (
    <Screen title="No such screen">
      <Empty title="This address leads nowhere.">
        <Link to={href("overview")}>To the overview</Link>
      </Empty>
    </Screen>
  );
}

render(<App />, document.getElementById("app")!);
