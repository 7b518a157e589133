/** Walks the audit log from its first record to its last, and tells the first fault. */
import type { AuditRecord, AuditStore } from '../storage/port.ts';
import type { Chain } from './chain.ts';

const PAGE = 500;

/** A record as somebody noted it elsewhere: the chain alone cannot tell that its newest records are gone. */
export interface KnownRecord {
  readonly seq: number;
  readonly hash: string;
}

export type Verification =
  | {
      readonly ok: true;
      readonly records: number;
      /** Null where there are none. */ readonly head: KnownRecord | null;
    }
  | {
      readonly ok: false;
      /** Where it is. */ readonly seq: number;
      readonly fault: Fault;
      readonly message: string;
    };

/**
 * `missing`: another record stands in its place. `changed`: it is not as it was written here. `unlinked`: it does not
 * follow the one before it. `known`: it is not the one that was noted, or is not there any more.
 */
export type Fault = 'missing' | 'changed' | 'unlinked' | 'known';

export async function verifyChain(
  store: Pick<AuditStore, 'list'>,
  chain: Chain,
  known: KnownRecord | null,
): Promise<Verification> {
  let previous: AuditRecord | null = null;
  for await (const record of readAll(store)) {
    const fault = faultOf(record, previous, chain, known);
    if (fault !== null) return fault;
    previous = record;
  }
  if (known !== null && known.seq > (previous?.seq ?? 0))
    return found(
      (previous?.seq ?? 0) + 1,
      'known',
      `the log ends before record ${known.seq}, which was noted`,
    );
  return {
    ok: true,
    records: previous?.seq ?? 0,
    head: previous && { seq: previous.seq, hash: previous.hash },
  };
}

/** Checks records that are given in their order, from the first on; tells the fault of one, or null. */
export function createRecordCheck(chain: Chain): (record: AuditRecord) => string | null {
  let previous: AuditRecord | null = null;
  return (record) => {
    const fault = faultOf(record, previous, chain, null);
    previous = record;
    return fault === null || fault.ok ? null : fault.message;
  };
}

function faultOf(
  record: AuditRecord,
  previous: AuditRecord | null,
  chain: Chain,
  known: KnownRecord | null,
): Verification | null {
  const expected = (previous?.seq ?? 0) + 1;
  if (record.seq !== expected)
    return found(expected, 'missing', `record ${record.seq} stands where record ${expected} belongs`);
  if (!chain.isGenuine(record))
    return found(expected, 'changed', `record ${expected} was changed, or written without this SECRET_KEY`);
  if (!chain.follows(record, previous))
    return found(expected, 'unlinked', `record ${expected} does not follow the one before it`);
  if (known?.seq === expected && known.hash !== record.hash)
    return found(expected, 'known', `record ${expected} is not the one that was noted`);
  return null;
}

const found = (seq: number, fault: Fault, message: string): Verification => ({
  ok: false,
  seq,
  fault,
  message,
});

/** Every record, oldest first. */
async function* readAll(store: Pick<AuditStore, 'list'>): AsyncGenerator<AuditRecord> {
  for (let after: string | null | undefined; after !== null;) {
    const page = await store.list({ after, limit: PAGE }, {}, 'oldest');
    yield* page.items;
    after = page.next;
  }
}
