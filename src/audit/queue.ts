/**
 * What waits for its record. It is bounded, and nobody crowds out anybody else: each actor has a share of it, and
 * what matters most (see `WEIGHTY`) has room of its own, so that whoever floods the log with small things hides
 * neither what others do nor what they themselves do to an account.
 */
import { SERVER } from './entry.ts';
import type { AuditEntry } from './entry.ts';

/** More than this do not wait for a store that is away: what is lost is counted, and the count recorded. */
const MAX_WAITING = 1_000;
const MAX_OF_ONE = 100;

/** Of the credentials of an account, and of the account as a whole. */
const WEIGHTY = /^(api_key\.|account\.(delete|email|lockout|password|register|status)$)/;

/** One of the two rooms: what matters most, and the rest. */
interface Room {
  /** How many wait of each subject. */
  readonly waiting: Map<string, number>;
  count: number;
}

const createRoom = (): Room => ({ waiting: new Map(), count: 0 });

export function createQueue(append: (entry: AuditEntry) => Promise<unknown>) {
  const entries: AuditEntry[] = [];
  const rooms = { weighty: createRoom(), other: createRoom() };
  let lost = 0;
  let told: (AuditEntry & { readonly details: { readonly count: number } }) | null = null;
  let flushing: Promise<void> | null = null;
  const roomOf = ({ action }: AuditEntry): Room => (WEIGHTY.test(action) ? rooms.weighty : rooms.other);

  const drain = async (): Promise<void> => {
    for (let next = entries[0]; next !== undefined; next = entries[0]) {
      await append(next);
      entries.shift();
      leave(roomOf(next), subjectOf(next));
    }
    if (lost === 0) return;
    // The very entry until it is written: one whose fate is not known is recognized by that.
    told ??= { by: SERVER, action: 'audit.lost', target: null, details: { count: lost } };
    const { details } = told;
    await append(told);
    told = null;
    lost -= details.count;
  };

  return {
    add: (entry: AuditEntry): void => {
      if (enter(roomOf(entry), subjectOf(entry))) entries.push(entry);
      else lost += 1;
    },
    waiting: () => entries.length + lost,
    /** One at a time: two would write the first entry twice. */
    flush: (): Promise<void> =>
      (flushing ??= drain().finally(() => {
        flushing = null;
      })),
  };
}

/** Whose share it takes: its actor's; what strangers do, that of the account that they do it to. */
const subjectOf = ({ by, target }: AuditEntry): string =>
  by.actor === 'anonymous' ? `anonymous ${target ?? ''}` : by.actor;

/** False where there is no room. */
function enter(room: Room, subject: string): boolean {
  const own = room.waiting.get(subject) ?? 0;
  if (room.count >= MAX_WAITING || own >= MAX_OF_ONE) return false;
  room.waiting.set(subject, own + 1);
  room.count += 1;
  return true;
}

function leave(room: Room, subject: string): void {
  const own = (room.waiting.get(subject) ?? 1) - 1;
  if (own === 0) room.waiting.delete(subject);
  else room.waiting.set(subject, own);
  room.count -= 1;
}
