import type { JSX } from "preact";
import { rpc } from "../api";
import { LIVE_SECONDS, useAsk } from "../ask";
import { usd } from "../money";
import { Answer, Badge, Empty, Sheet } from "../parts/basics";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import { href, Link } from "../place";
import type { Alert, Who } from "../types";
import { big, moment, word } from "../words";

const amountOf = (alert: Alert, value: string): string =>
  alert.kind === "ALERT_KIND_ERROR_RATE" ? `${Number(value) / 10} %` : usd(big(value));

function subject(alert: Alert): JSX.Element {
  const { request_id, budget_id, ...rest } = alert.subject;
  const names = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  return (
    <>
      {request_id && <Link to={href(`request/${encodeURIComponent(request_id)}`)}>the request</Link>}
      {budget_id && <Link to={href("budgets")}>budget {budget_id}</Link>}
      {(request_id || budget_id) && names.length > 0 && ", "}
      {names.join(", ")}
    </>
  );
}

export function Alerts(_: { who: Who }): JSX.Element {
  const asked = useAsk(
    "alerts",
    () => rpc<{ alerts: Alert[] }>("reading/ListAlerts", { page_size: 100 }),
    LIVE_SECONDS,
  );
  return (
    <Screen
      title="Alerts"
      lead="Each event is told once. Thresholds and receivers stand in the fleet file."
      tools={
        <span class="live">
          <i />
          Live
        </span>
      }
    >
      <Sheet>
        <Answer of={asked} rows={6}>
          {({ alerts }) =>
            alerts.length ? (
              <Table
                label="Alerts, newest first"
                rows={alerts}
                key_={(row) => row.number}
                columns={[
                  { name: "When (UTC)", class: "nowrap", cell: (row) => moment(row.event_time) },
                  { name: "About", class: "nowrap", cell: (row) => <Badge kind="warn">{word(row.kind, "ALERT_KIND_")}</Badge> },
                  {
                    name: "What", class: "name",
                    cell: (row) => (
                      <>
                        <b>{row.title}</b>
                        <br />
                        <span class="soft">{row.reason}</span>
                      </>
                    ),
                  },
                  { name: "Seen", number: true, cell: (row) => amountOf(row, row.observed) },
                  { name: "Threshold", number: true, cell: (row) => amountOf(row, row.threshold) },
                  { name: "Look at", class: "name", cell: subject },
                  {
                    name: "Webhooks",
                    cell: (row) =>
                      row.deliveries.map((each) => (
                        <Badge key={each.webhook} kind={each.state.endsWith("SENT") ? "good" : each.state.endsWith("UP") ? "bad" : ""}>
                          {each.webhook}: {word(each.state, "DELIVERY_STATE_")}
                        </Badge>
                      )),
                  },
                ]}
              />
            ) : (
              <Empty title="Nothing to tell.">
                What is watched, and who hears of it:
                <pre>{`alerts:
  day_usd: 100
  error_percent: 5
  budget_percents: [50, 80, 100]
  webhooks:
    ops: {url_env: OPS_WEBHOOK, secret_env: OPS_SECRET}`}</pre>
              </Empty>
            )
          }
        </Answer>
      </Sheet>
    </Screen>
  );
}
