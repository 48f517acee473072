import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { signIn } from "../api";
import { Field, why } from "../parts/basics";
import { Mark } from "../parts/shell";
import type { Who } from "../types";

/** Signing in: the key goes to the gateway once and is kept nowhere in the browser. */
export function Gate({ onIn }: { onIn: (who: Who) => void }): JSX.Element {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · Spendgate";
    field.current?.focus();
  }, []);
  const send = async (event: Event) => {
    event.preventDefault();
    if (!key.trim()) return setProblem("Enter a key.");
    setBusy(true);
    try {
      onIn(await signIn(key.trim()));
    } catch (error) {
      setProblem(why(error));
      setBusy(false);
      field.current?.focus();
      field.current?.select();
    }
  };
  return (
    <div class="gate">
      <aside>
        <span class="brand">
          <Mark />
          Spendgate
        </span>
        <p>Where each cent of your model spend went.</p>
        <ul>
          <li>Booked to the nano-dollar, by feature, model, user and key</li>
          <li>Budgets that refuse before a provider is called</li>
          <li>Every saving with its cause</li>
        </ul>
      </aside>
      <main id="main">
        <form onSubmit={send} noValidate>
          <h1>Sign in</h1>
          <p>With an admin key, or a viewer key to look only.</p>
          <Field label="Key">
            <input
              ref={field}
              type="password"
              autoComplete="off"
              spellcheck={false}
              value={key}
              aria-invalid={problem ? "true" : undefined}
              aria-describedby="gate-problem"
              onInput={(event) => setKey(event.currentTarget.value)}
            />
          </Field>
          <div id="gate-problem" role="alert">
            {problem && <div class="problem">{problem}</div>}
          </div>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Signing in…" : "Sign in"}
          </button>
          <p class="note help">
            <code>spendgate up</code> shows the first admin key once. Another one:{" "}
            <code>spendgate key create NAME --role viewer</code>
          </p>
        </form>
      </main>
    </div>
  );
}
