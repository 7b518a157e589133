/** The server of a tour: one that runs already, of which the tour knows no more than its address. */
import { Refusal } from './endings.ts';
import type { OwnStore } from './own-server.ts';

const LOOK_MS = 5_000;

export interface DemoServer {
  readonly origin: string;
  /** What lies behind it; null where that is none of the tour's business. */
  readonly store: OwnStore | null;
  close(): Promise<void>;
}

/** Looks whether Portcullis answers there with its JSON API; throws a Refusal that says what to do. */
export async function findServer(origin: string, signal: AbortSignal): Promise<DemoServer> {
  const status = await statusOfDocument(origin, signal);
  if (status === 421) {
    throw new Refusal(`The server at ${origin} goes by another name: give --server its ISSUER.`);
  }
  if (status !== 200) {
    throw new Refusal(
      `Something answers at ${origin}, but it is no Portcullis with a JSON API (${status} at /openapi.json): ` +
        'give --server the address of one.',
    );
  }
  return { origin, store: null, close: async () => undefined };
}

async function statusOfDocument(origin: string, signal: AbortSignal): Promise<number> {
  try {
    const answer = await fetch(`${origin}/openapi.json`, {
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]),
    });
    const text = await answer.text();
    return answer.status === 200 && !text.includes('/api/v1/auth/login') ? 404 : answer.status;
  } catch (error) {
    signal.throwIfAborted();
    throw new Refusal(
      `No server answers at ${origin}. Start it in another terminal by npm start, ` +
        'or leave --server out: then the tour starts one of its own.',
      { cause: error },
    );
  }
}
