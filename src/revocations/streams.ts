/**
 * A feed as streams of server-sent events: each event is a signed page. One look at the store serves all who listen at
 * the same place; where nothing happened, an empty page tells at each beat that nothing did. Streams are bounded in
 * number, in what waits for a slow reader, and in their life, since a token that opened one is not looked at again.
 */
import { Readable } from 'node:stream';

import { AppError } from '../errors.ts';
import type { Page, RevocationPages } from './pages.ts';

// What another instance wrote is here within a second, with the store's own time.
const LOOK_MS = 100;
// While nobody listens a new listener rings.
const IDLE_MS = 60_000;
const BEAT_MS = 5_000;
const LIFE_MS = 600_000;
// So that streams which an outage made equal do not end, and come again, as one.
const LIFE_SPREAD = 0.2;
const MAX_STREAMS = 1_000;
const MAX_WAITING_BYTES = 1024 * 1024;
const RETRY_AFTER_SECONDS = 5;

export interface RevocationStreams {
  /** Begins with the page. Throws `overloaded`; a client that has too many loses its oldest. */
  open(clientId: string, first: Page): Promise<Readable>;
  /** Looks for what is new and sends it; gives the milliseconds until the next time. */
  look(): Promise<number>;
  /** Ends all, and opens none any more. */
  end(): void;
}

interface RevocationStreamsOptions {
  readonly pages: RevocationPages;
  readonly maxOfClient: number;
  /** Whether the client is there. */
  readonly isClient: (clientId: string) => Promise<boolean>;
  /** Calls `look` before its time. */
  readonly ring: () => void;
  /** So long a stream lives at most; tests shorten it. */
  readonly lifeMs?: number | undefined;
}

interface Listener {
  readonly clientId: string;
  readonly stream: Readable;
  readonly endsAt: number;
  /** What the listener has. */
  cursor: number;
  sentAt: number;
}

export function createRevocationStreams(options: RevocationStreamsOptions): RevocationStreams {
  const { pages, maxOfClient, isClient, ring, lifeMs = LIFE_MS } = options;
  // In the order of their opening.
  const listeners = new Set<Listener>();
  let hasEnded = false;
  const findDeleted = createDeletedFinder(isClient);

  const drop = (listener: Listener): void => {
    if (listeners.delete(listener)) listener.stream.push(null);
  };
  const makeRoom = (clientId: string): void => {
    const own = [...listeners].filter((listener) => listener.clientId === clientId);
    own.slice(0, Math.max(0, own.length - maxOfClient + 1)).forEach(drop);
    if (hasEnded || listeners.size >= MAX_STREAMS) throw tooMany();
  };
  const send = (listener: Listener, page: Page, signed: string): void => {
    listener.stream.push(toEvent(page, signed));
    listener.cursor = page.to;
    listener.sentAt = performance.now();
    const isOver = listener.sentAt > listener.endsAt || endsNode(page, listener.clientId);
    if (isOver || listener.stream.readableLength > MAX_WAITING_BYTES) drop(listener);
  };
  const lookAt = async (cursor: number, there: readonly Listener[]): Promise<boolean> => {
    const page = await pages.read(cursor);
    // What is in the other feeds alone can wait, as long as it does not fill the page.
    const due = page.entries.length > 0 || page.more ? there : there.filter(isDue);
    if (due.length === 0) return false;
    const signed = await pages.sign(page);
    for (const listener of due) if (listeners.has(listener)) send(listener, page, signed);
    return page.more;
  };

  return {
    open: async (clientId, first) => {
      makeRoom(clientId);
      const signed = await pages.sign(first);
      makeRoom(clientId); // others came meanwhile
      const stream = new Readable({ read: () => undefined });
      const listener = {
        clientId,
        stream,
        endsAt: performance.now() + lifeMs * (1 - Math.random() * LIFE_SPREAD),
        cursor: first.to,
        sentAt: 0,
      };
      listeners.add(listener);
      stream.once('close', () => listeners.delete(listener));
      send(listener, first, signed);
      ring();
      return stream;
    },
    look: async () => {
      (await findDeleted(listeners)).forEach(drop);
      const places = Map.groupBy(listeners, ({ cursor }) => cursor);
      const more = await Promise.all([...places].map(([cursor, there]) => lookAt(cursor, there)));
      if (listeners.size === 0) return IDLE_MS;
      return more.includes(true) ? 0 : LOOK_MS;
    },
    end: () => {
      hasEnded = true;
      listeners.forEach(drop);
    },
  };
}

/** Finds those whose client is there no more, at each beat. */
function createDeletedFinder(isClient: RevocationStreamsOptions['isClient']) {
  let lookedAt = performance.now();
  return async (listeners: ReadonlySet<Listener>): Promise<readonly Listener[]> => {
    if (performance.now() - lookedAt < BEAT_MS) return [];
    lookedAt = performance.now();
    const ofClients = [...Map.groupBy(listeners, ({ clientId }) => clientId)];
    return (await Promise.all(ofClients.map(async ([id, own]) => ((await isClient(id)) ? [] : own)))).flat();
  };
}

/** Its own end goes to a node as well, as the last that it hears. */
const endsNode = ({ entries }: Page, clientId: string): boolean =>
  entries.some(({ kind, subject }) => kind === 'node' && subject === clientId);

const isDue = ({ sentAt }: Listener): boolean => performance.now() - sentAt >= BEAT_MS;

const toEvent = ({ to }: Page, signed: string): string =>
  `id: ${to}\nevent: revocations\ndata: ${signed}\n\n`;

const tooMany = (): AppError =>
  new AppError(
    'overloaded',
    'No more streams are served just now: ask for pages, or come back in a moment.',
    {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  );
