// Asks, keeps the last answer while it asks again, and asks again while somebody looks.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Refused } from "./api";

export interface Asked<T> {
  data: T | undefined;
  error: Refused | undefined;
  /** The first answer is still to come. */
  waiting: boolean;
  again: () => void;
}

export const LIVE_SECONDS = 5;

/** `key` names the question: another key is another question. `every` in seconds, 0 for once. */
export function useAsk<T>(key: string, ask: () => Promise<T>, every = 0): Asked<T> {
  const [state, set] = useState<{ key: string; data?: T; error?: Refused }>({ key });
  const [turn, setTurn] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      try {
        const data = await latest.current();
        if (!gone) set({ key, data });
      } catch (error) {
        const told = error instanceof Refused ? error : new Refused(0, String(error), "", {});
        if (!gone) set((old) => ({ ...(old.key === key ? old : { key }), error: told }));
      }
      if (!gone && every) timer = setTimeout(beat, every * 1000);
    };
    const beat = () => {
      if (document.visibilityState === "visible") void run();
      else document.addEventListener("visibilitychange", beat, { once: true });
    };
    void run();
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", beat);
    };
  }, [key, every, turn]);
  const again = useCallback(() => setTurn((old) => old + 1), []);
  const mine = state.key === key ? state : { key };
  return { data: mine.data, error: mine.error, waiting: !mine.data && !mine.error, again };
}
