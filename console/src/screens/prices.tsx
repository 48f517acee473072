import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { all } from "../api";
import { useAsk } from "../ask";
import { perMillion } from "../money";
import { Answer, Badge, Empty, Sheet } from "../parts/basics";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import type { Model, Price, Who } from "../types";
import { big, count, word } from "../words";

const of = (name: keyof Price) => ({ price }: Model): JSX.Element | string =>
  price && big(price[name] as string) > 0n ? (
    <span title={`${price[name]} pico-USD a token`}>{perMillion(big(price[name] as string))}</span>
  ) : (
    "–"
  );
const by = (name: keyof Price) => ({ price }: Model): bigint => big(price?.[name] as string);

export function Prices(_: { who: Who }): JSX.Element {
  const asked = useAsk("models", () => all<Model>("router/ListModels", "models"));
  const [find, setFind] = useState("");
  const fits = (model: Model) =>
    [model.model, model.provider, model.upstream_model, ...model.aliases].some((text) =>
      text.toLowerCase().includes(find.toLowerCase()),
    );
  return (
    <Screen
      title="Prices"
      lead="What a million tokens cost today, in US dollars, for the models of the fleet file. Bookings keep the price of their own moment."
      tools={
        <input
          type="search"
          aria-label="Find a model"
          placeholder="Find a model"
          value={find}
          onInput={(event) => setFind(event.currentTarget.value)}
        />
      }
    >
      <Sheet>
        <Answer of={asked} rows={6}>
          {(models) => {
            const rows = models.filter(fits);
            return rows.length ? (
              <Table
                label="Prices"
                rows={rows}
                key_={(model) => model.model}
                sort={["Read", "descending"]}
                columns={[
                  {
                    name: "Model", class: "name",
                    by: (model) => model.model,
                    cell: (model) => (
                      <>
                        <b>{model.model}</b> {!model.routable && <Badge>not for auto</Badge>}
                        <br />
                        <span class="soft">{[model.upstream_model, ...model.aliases].filter((name) => name !== model.model).join(", ")}</span>
                      </>
                    ),
                  },
                  { name: "Provider", by: (model) => model.provider, cell: (model) => model.provider },
                  {
                    name: "Read", number: true, by: by("input_picos"),
                    cell: (model) => (model.price_status === "PRICE_STATUS_UNPRICED" ? <Badge kind="warn">unpriced</Badge> : of("input_picos")(model)),
                  },
                  { name: "Read, cached", number: true, by: by("cached_input_picos"), cell: of("cached_input_picos") },
                  { name: "Cache write", number: true, by: by("cache_write_picos"), cell: of("cache_write_picos") },
                  { name: "Written", number: true, by: by("output_picos"), cell: of("output_picos") },
                  { name: "Window", number: true, by: (model) => Number(model.context_window_tokens), cell: (model) => count(model.context_window_tokens) },
                  { name: "Writes at most", number: true, by: (model) => Number(model.output_tokens_max), cell: (model) => count(model.output_tokens_max) },
                  { name: "Can", cell: (model) => model.capabilities.map((each) => word(each, "CAPABILITY_")).join(", ") || "–" },
                  { name: "Price list", class: "name", cell: (model) => <span class="soft">{model.price?.price_version ?? "none: set price or priced_as in the fleet file"}</span> },
                ]}
              />
            ) : (
              <Empty title="No model fits." />
            );
          }}
        </Answer>
      </Sheet>
    </Screen>
  );
}
