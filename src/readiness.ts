/** Whether this process can serve: `/readyz` asks here, at most one ping of the store a second. */
import type { Readiness } from './http/health.ts';

const PING_VALID_MS = 1_000;
const PING_TIMEOUT_MS = 1_000;

/** Starts as "starting", for the cause that `waitFor` names; `serve` names the store's ping, `drain` ends readiness for good. */
export function createReadiness() {
  let ping: (() => Promise<void>) | null = null;
  let isDraining = false;
  let awaited = '';
  let last: { at: number; answer: Promise<Readiness> } | null = null;

  const pingOnce = async (askStore: () => Promise<void>): Promise<Readiness> => {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<Readiness>((resolve) => {
      timer = setTimeout(() => resolve(notReady('the store does not answer')), PING_TIMEOUT_MS);
    });
    const answer = askStore().then(
      () => ({ ready: true, reason: null }),
      () => notReady('the store cannot be reached'),
    );
    return Promise.race([answer, timeout]).finally(() => clearTimeout(timer));
  };

  return {
    /** What keeps the store or the keys from being loaded. */
    waitFor: (cause: string): void => {
      awaited = `: ${cause}`;
    },
    serve: (askStore: () => Promise<void>): void => {
      ping = askStore;
    },
    drain: (): void => {
      isDraining = true;
    },
    check: async (): Promise<Readiness> => {
      if (isDraining) return notReady('the server is stopping');
      if (ping === null) return notReady(`the store and the keys are not loaded yet${awaited}`);
      const now = performance.now();
      if (last === null || now - last.at > PING_VALID_MS) last = { at: now, answer: pingOnce(ping) };
      return last.answer;
    },
  };
}

const notReady = (reason: string): Readiness => ({ ready: false, reason });
