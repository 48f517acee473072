import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { all, rpc } from "../api";
import { useAsk } from "../ask";
import { Answer, Badge, Copy, Dialog, Empty, Field, FormEnd, Problem, Select, Sheet, say, why } from "../parts/basics";
import { Screen } from "../parts/shell";
import { Table } from "../parts/table";
import { href, Link } from "../place";
import type { Key, Who } from "../types";
import { ahead, count, moment, word } from "../words";

const ROLES: [string, string][] = [
  ["KEY_ROLE_CALLER", "Caller: calls models"],
  ["KEY_ROLE_VIEWER", "Viewer: reads books, budgets and keys"],
  ["KEY_ROLE_ADMIN", "Admin: all of it"],
];

interface Secret {
  key_id: string;
  secret: string;
}

export function Keys({ who }: { who: Who }): JSX.Element {
  const asked = useAsk("keys", () => all<Key>("ledger/ListKeys", "keys"), 15);
  const [making, setMaking] = useState(false);
  const [changing, setChanging] = useState<Key | null>(null);
  const [secret, setSecret] = useState<Secret | null>(null);
  const admin = who.role === "admin";
  const shown = (told: Secret) => {
    setMaking(false);
    setChanging(null);
    setSecret(told);
    asked.again();
  };
  return (
    <Screen
      title="Keys"
      lead="Who may call, as whom it is booked, and how fast. Secrets are shown once and kept as keyed hashes."
      tools={
        admin && (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            New key
          </button>
        )
      }
    >
      <Sheet>
        <Answer of={asked} rows={6}>
          {(keys) =>
            keys.length ? (
              <KeyTable keys={keys} admin={admin} own={who.key_id} change={setChanging} />
            ) : (
              <Empty title="No key yet." />
            )
          }
        </Answer>
      </Sheet>
      {making && <NewKey onClose={() => setMaking(false)} onMade={shown} />}
      {changing && (
        <Change
          of={changing}
          onClose={() => setChanging(null)}
          onSecret={shown}
          onEnded={() => {
            say(`The key ${changing.key_id} is disabled.`);
            setChanging(null);
            asked.again();
          }}
        />
      )}
      {secret && (
        <Dialog title={`The secret of ${secret.key_id}`} onClose={() => setSecret(null)}>
          <p>Shown this once. Keep it where secrets are kept.</p>
          <pre>{secret.secret}</pre>
          <div class="end">
            <Copy text={secret.secret} label="Copy the secret" />
            <button type="button" class="primary" onClick={() => setSecret(null)}>
              Done
            </button>
          </div>
        </Dialog>
      )}
    </Screen>
  );
}

function stateOf(key: Key): [string, string] {
  if (key.disable_time) return ["disabled", "bad"];
  if (key.expire_time && Date.parse(key.expire_time) <= Date.now()) return ["expired", "bad"];
  if (key.previous_expire_time && Date.parse(key.previous_expire_time) > Date.now()) {
    return [`rotated, old one ends ${ahead(key.previous_expire_time)}`, "warn"];
  }
  return ["works", "good"];
}

const limitText = ({ limits }: Key): string =>
  limits
    ? ([
        [limits.requests_per_minute, "requests/min"],
        [limits.tokens_per_minute, "tokens/min"],
        [limits.parallel_calls_max, "at once"],
      ] as const)
        .filter(([value]) => Number(value) > 0)
        .map(([value, what]) => `${count(value)} ${what}`)
        .join(", ") || "–"
    : "–";

function KeyTable(props: {
  keys: Key[];
  admin: boolean;
  own: string;
  change: (key: Key) => void;
}): JSX.Element {
  const pinned = (key: Key) =>
    [
      ...(["project", "feature", "user"] as const).filter((name) => key[name]).map((name) => `${name} ${key[name]}`),
      ...Object.entries(key.tags).map(([tag, value]) => `tag ${tag} ${value}`),
    ].join(", ") || "–";
  return (
    <Table
      label="Keys"
      rows={props.keys}
      key_={(key) => key.key_id}
      sort={["Key", "ascending"]}
      rowClass={(key) => (stateOf(key)[1] === "bad" ? "dim" : "")}
      columns={[
        {
          name: "Key", class: "name",
          by: (key) => key.key_id,
          cell: (key) => (
            <>
              <Link to={href("explore", { "is.AXIS_KEY": key.key_id })}>{key.key_id}</Link>{" "}
              <code class="soft">{key.hint}…</code>
            </>
          ),
        },
        { name: "Role", by: (key) => key.role, cell: (key) => word(key.role, "KEY_ROLE_") },
        {
          name: "State", class: "nowrap",
          cell: (key) => <Badge kind={stateOf(key)[1]}>{stateOf(key)[0]}</Badge>,
        },
        { name: "Pinned to its calls", class: "name", cell: pinned },
        { name: "Models", class: "name", cell: (key) => key.allowed_models.join(", ") || "all" },
        { name: "Limits", cell: limitText },
        {
          name: "Ends", class: "nowrap",
          cell: (key) => (key.expire_time ? moment(key.expire_time) : "never"),
        },
        {
          name: "",
          cell: (key) =>
            props.admin && !key.disable_time ? (
              <button type="button" class="quiet" aria-label={`Change the key ${key.key_id}`} onClick={() => props.change(key)}>
                Change
              </button>
            ) : null,
        },
      ]}
    />
  );
}

function NewKey(props: {
  onClose: () => void;
  onMade: (secret: Secret) => void;
}): JSX.Element {
  const [form, set] = useState<Record<string, string>>({ role: "KEY_ROLE_CALLER" });
  const [problem, setProblem] = useState("");
  const text = (name: string, placeholder = "") => (
    <input
      value={form[name] ?? ""}
      placeholder={placeholder}
      onInput={(event) => {
        const value = event.currentTarget.value;
        set((old) => ({ ...old, [name]: value }));
      }}
    />
  );
  const said = (name: string) => (form[name] ?? "").trim();
  const save = async (event: Event) => {
    event.preventDefault();
    const days = said("days");
    if (!said("key_id")) return setProblem("Give it a name.");
    if (days && !/^[1-9]\d{0,3}$/.test(days)) return setProblem("Days are a whole number.");
    const limits = ["requests_per_minute", "tokens_per_minute", "parallel_calls_max"];
    if (limits.some((name) => said(name) && !/^\d{1,12}$/.test(said(name)))) {
      return setProblem("Limits are whole numbers.");
    }
    try {
      const made = await rpc<{ secret: string }>("ledger/CreateKey", {
        key_id: said("key_id"),
        role: form.role,
        project: said("project"),
        feature: said("feature"),
        user: said("user"),
        ...(days ? { lifetime: `${Number(days) * 86400}s` } : {}),
        allowed_models: said("models").split(/[,\s]+/).filter(Boolean),
        limits: Object.fromEntries(limits.map((name) => [name, said(name) || "0"])),
      });
      props.onMade({ key_id: said("key_id"), secret: made.secret });
    } catch (error) {
      setProblem(why(error));
    }
  };
  return (
    <Dialog title="New key" onClose={props.onClose} wide>
      <form onSubmit={save}>
        {problem && <Problem text={problem} />}
        <div class="row">
          <Field label="Name">{text("key_id", "shop-backend")}</Field>
          <Field label="Role">
            <Select label="Role" value={form.role!} options={ROLES} onChange={(role) => set((old) => ({ ...old, role }))} />
          </Field>
          <Field label="Works for days">{text("days", "for ever")}</Field>
        </div>
        <h3 class="note">Pinned to everything it calls</h3>
        <div class="row">
          <Field label="Project">{text("project", "the caller’s")}</Field>
          <Field label="Feature">{text("feature", "the caller’s")}</Field>
          <Field label="User">{text("user", "the caller’s")}</Field>
        </div>
        <h3 class="note">What it may call, and how fast</h3>
        <div class="row">
          <Field label="Models">{text("models", "all; gpt-*, …")}</Field>
          <Field label="Requests a minute">{text("requests_per_minute", "no limit")}</Field>
          <Field label="Tokens a minute">{text("tokens_per_minute", "no limit")}</Field>
          <Field label="Calls at once">{text("parallel_calls_max", "no limit")}</Field>
        </div>
        <FormEnd submit="Make the key" onCancel={props.onClose} />
      </form>
    </Dialog>
  );
}

function Change(props: {
  of: Key;
  onClose: () => void;
  onSecret: (secret: Secret) => void;
  onEnded: () => void;
}): JSX.Element {
  const { key_id } = props.of;
  const [grace, setGrace] = useState("86400s");
  const [sure, setSure] = useState(false);
  const [problem, setProblem] = useState("");
  const attempt = async (what: () => Promise<void>) => {
    try {
      await what();
    } catch (error) {
      setProblem(why(error));
    }
  };
  const rotate = () =>
    attempt(async () => {
      const told = await rpc<{ secret: string }>("ledger/RotateKey", { key_id, grace });
      props.onSecret({ key_id, secret: told.secret });
    });
  const disable = () =>
    attempt(async () => {
      await rpc("ledger/DisableKey", { key_id });
      props.onEnded();
    });
  return (
    <Dialog title={key_id} onClose={props.onClose}>
      {problem && <Problem text={problem} />}
      <Field label="Give it a new secret; the old one works on for">
        <Select
          label="The old secret works on for"
          value={grace}
          options={[
            ["0s", "not at all"],
            ["3600s", "an hour"],
            ["86400s", "a day"],
            ["604800s", "a week"],
          ]}
          onChange={setGrace}
        />
      </Field>
      <div class="end">
        <button type="button" class="quiet danger" onClick={() => (sure ? void disable() : setSure(true))}>
          {sure ? "Really disable it for good" : "Disable"}
        </button>
        <button type="button" class="primary" onClick={rotate}>
          Rotate
        </button>
      </div>
    </Dialog>
  );
}
