// Data that a page shows and keeps fresh: loads at once and every `everyMs` while the tab is visible, keeps the old answer
// while a new one loads, backs off while the server is away.
import { useEffect, useRef, useState } from 'preact/hooks';

import { ApiError, type Answer } from '../api/client';

export interface Live<T> {
  data: T | null;
  error: ApiError | null;
  loadedAt: number; // of `data`, ms; 0 = never
  reload: () => void;
}

export function useLive<T>(load: (signal: AbortSignal) => Promise<Answer<T>>, everyMs: number): Live<T> {
  const [state, setState] = useState<{ data: T | null; error: ApiError | null; loadedAt: number }>({
    data: null,
    error: null,
    loadedAt: 0,
  });
  const trigger = useRef<() => void>(() => undefined);
  useEffect(() => {
    let abort: AbortController | null = null;
    let timer = 0;
    let failures = 0;
    let stopped = false;
    const run = async () => {
      clearTimeout(timer);
      abort?.abort();
      const mine = (abort = new AbortController());
      try {
        const answer = await load(mine.signal);
        failures = 0;
        setState({ data: answer.data, error: null, loadedAt: Date.now() });
      } catch (error) {
        if (mine.signal.aborted) return;
        failures++;
        const shown = error instanceof ApiError ? error : new ApiError('page', String(error), 0);
        setState((old) => ({ ...old, error: shown }));
      }
      if (!stopped) timer = window.setTimeout(tick, everyMs * Math.min(8, 2 ** failures));
    };
    const tick = () => {
      if (document.hidden) timer = window.setTimeout(tick, 1000);
      else void run();
    };
    trigger.current = () => void run();
    void run();
    return () => {
      stopped = true;
      clearTimeout(timer);
      abort?.abort();
    };
  }, [load, everyMs]);
  return { ...state, reload: () => trigger.current() };
}
