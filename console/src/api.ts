// The console's one door: JSON over the same origin, signed in by a cookie that no script can read.
import type { AxisValue, Breakdown, BreakdownRow, Who } from "./types";

const BASE = "/console/api";
const OWN = { "X-Console-Request": "1" };

/** A refusal, in the fleet's words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason: string,
    readonly metadata: Record<string, string>,
  ) {
    super(message);
  }
}

let signedOut: () => void = () => {};
export const whenSignedOut = (listener: () => void): void => void (signedOut = listener);

async function answer<T>(response: Response): Promise<T> {
  const body = await response.json().catch(() => null);
  if (response.ok) return body as T;
  const error = body?.error ?? {};
  if (response.status === 401 && error.code === "sign_in_required") signedOut();
  throw new Refused(
    response.status,
    error.message ?? `the gateway answered ${response.status}`,
    body?.spendgate?.reason ?? error.code ?? "",
    body?.spendgate?.metadata ?? {},
  );
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers: body === undefined ? OWN : { ...OWN, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new Refused(0, "the gateway does not answer", "AWAY", {});
  }
  return answer<T>(response);
}

export const who = (): Promise<Who> => send("GET", "/session");
export const signIn = (key: string): Promise<Who> => send("POST", "/session", { key });
export const signOut = (): Promise<unknown> => send("DELETE", "/session");
export const get = <T>(path: string): Promise<T> => send("GET", path);
export const post = <T>(path: string, body: unknown): Promise<T> => send("POST", path, body);

/** One of the fleet's own RPCs, "ledger/ListBudgets", with its request as proto3 JSON. */
export const rpc = <T>(name: string, request: unknown = {}): Promise<T> =>
  send("POST", `/rpc/${name}`, request);

const PAGES_MAX = 5;

/** Every row of a list that is told in pages, up to a bound. */
export async function all<T>(name: string, field: string, request: object = {}): Promise<T[]> {
  const found: T[] = [];
  let token = "";
  for (let page = 0; page < PAGES_MAX; page++) {
    const told = await rpc<Record<string, unknown>>(name, {
      ...request,
      page_size: 200,
      page_token: token,
    });
    found.push(...(told[field] as T[]));
    token = (told.next_page_token as string) || "";
    if (!token) break;
  }
  return found;
}

export interface Asked {
  start_time?: string;
  end_time?: string;
  group_by?: string[];
  tag_name?: string;
  only?: AxisValue[];
  page_size?: number;
}

/** Sums of what was booked, all pages up to a bound. */
export async function breakdown(asked: Asked): Promise<Breakdown> {
  let rows: BreakdownRow[] = [];
  let told: Breakdown | undefined;
  let token = "";
  for (let page = 0; page < PAGES_MAX; page++) {
    told = await rpc<Breakdown>("reading/Breakdown", {
      page_size: 1000,
      ...asked,
      page_token: token,
    });
    rows = rows.concat(told.rows);
    token = told.next_page_token;
    if (!token || asked.page_size) break;
  }
  return { ...told!, rows };
}

/** An answer as it is written: calls `piece` with each text, gives the summary at the end. */
export async function stream(
  body: object,
  piece: (text: string) => void,
  signal: AbortSignal,
): Promise<Record<string, any>> {
  const response = await fetch(`${BASE}/chat`, {
    method: "POST",
    headers: { ...OWN, "Content-Type": "application/json", "X-Spendgate-Feature": "playground" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    credentials: "same-origin",
    signal,
  });
  if (!response.ok || !response.body) return answer(response);
  let last: Record<string, any> = {};
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return last;
    const events = (rest + value).split("\n\n");
    rest = events.pop()!;
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") continue;
      const chunk = JSON.parse(data);
      if (chunk.error) {
        throw new Refused(0, chunk.error.message, chunk.spendgate?.reason ?? "", {});
      }
      if (chunk.spendgate) last = { ...last, ...chunk.spendgate };
      if (chunk.usage) last.written = chunk.usage.completion_tokens;
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) piece(text);
    }
  }
}
