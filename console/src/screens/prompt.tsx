// A prompt to try: typed once, asked by a button.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import {  } from "../api";
import { Field, Problem, Select, why } from "../parts/basics";

/** Asks `ask` with the text and the model, shows what `children` makes of the answer. */
export function TryPrompt<T>(props: {
  button: string;
  models: string[];
  ask: (text: string, model: string) => Promise<T>;
  children: (told: T) => ComponentChildren;
}): JSX.Element {
  const [text, setText] = useState("");
  const [model, setModel] = useState("auto");
  const [told, set] = useState<T | undefined>();
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    if (!text.trim()) return setProblem("Enter a prompt.");
    setBusy(true);
    setProblem("");
    try {
      set(await props.ask(text, model));
    } catch (error) {
      set(undefined);
      setProblem(why(error));
    }
    setBusy(false);
  };
  return (
    <form onSubmit={send}>
      <Field label="Prompt">
        <textarea value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </Field>
      <div class="row">
        <Select
          label="Model"
          value={model}
          options={["auto", ...props.models].map((name) => [name, name])}
          onChange={setModel}
        />
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Asking…" : props.button}
        </button>
      </div>
      <div aria-live="polite">
        {problem && <Problem text={problem} />}
        {told !== undefined && props.children(told)}
      </div>
    </form>
  );
}
