/** The audit log on both stores: one chain whatever the concurrency, and what is done to it behind our back. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import mongoose from 'mongoose';

import { createAudit } from '../../src/audit/audit.ts';
import type { Audit } from '../../src/audit/audit.ts';
import type { Change } from '../../src/audit/entry.ts';
import { storeUnavailable } from '../../src/errors.ts';
import type { AuditRecord, AuditStore } from '../../src/storage/port.ts';
import { useInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { withLatency } from '../support/latency.ts';
import { describeOnBothStores } from '../support/server.ts';

const now = (): number => Math.floor(Date.now() / 1_000);
const ACTOR = { actor: 'test', ip: '192.0.2.1', requestId: 'r-1' };
const WORKER_TIMEOUT_MS = 60_000;
const CHAIN_KEY = randomBytes(32).toString('base64url');

const change = (n: number): Change => ({ action: 'test.change', target: `thing:${n}`, details: { n } });
const nothing = async (): Promise<void> => undefined;

async function readAll(store: AuditStore): Promise<readonly AuditRecord[]> {
  const { items } = await store.list({ limit: 5_000 }, {}, 'oldest');
  return items;
}

describeOnBothStores('the audit log', (kind) => {
  const installation = useInstallation(kind);
  const open = (store: AuditStore = installation().storage.audit): Audit =>
    createAudit({ store, chainKey: CHAIN_KEY, now });

  test('is intact where it is empty', async () => {
    expect(await open().verify(null)).toEqual({ ok: true, records: 0, head: null });
    expect(await open().verify({ seq: 1, hash: 'x' })).toMatchObject({ ok: false, seq: 1, fault: 'known' });
  });

  test('has each of twenty simultaneous changes once, of two instances with a slow store', async () => {
    const [one, other] = [withLatency(installation().storage), withLatency(installation().storage)].map(
      ({ audit }) => open(audit).as(ACTOR),
    );
    if (one === undefined || other === undefined) throw new Error('there are two');
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? one : other)(change(n), async () => n)),
    );
    expect(made).toEqual(Array.from({ length: 20 }, (_, n) => n));
    const records = await readAll(installation().storage.audit);
    expect(records.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(new Set(records.map(({ target }) => target)).size).toBe(20);
    expect(await open().verify(null)).toMatchObject({ ok: true, records: 20, head: { seq: 20 } });
  });

  test(
    'has no gap where two processes write it at once',
    async () => {
      const before = (await installation().storage.audit.last())?.seq ?? 0;
      const { databaseUrl } = installation().secrets;
      const workers = ['a', 'b'].map((name) =>
        fork(join(import.meta.dirname, 'worker.ts'), [databaseUrl, CHAIN_KEY, name, '20'], {
          execArgv: ['--disable-warning=ExperimentalWarning'],
        }),
      );
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      const counts = await Promise.all(
        workers.map(async (worker) => {
          const answer = once(worker, 'message');
          worker.send('begin');
          const [count] = (await answer) as [number];
          const exit = once(worker, 'exit');
          worker.disconnect();
          await exit;
          return count;
        }),
      );
      expect(counts).toEqual([20, 20]);
      const records = (await readAll(installation().storage.audit)).slice(before);
      expect(records.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, n) => before + n + 1));
      expect(new Set(records.map(({ target }) => target)).size).toBe(40);
      expect(await open().verify(null)).toMatchObject({ ok: true, records: before + 40 });
    },
    WORKER_TIMEOUT_MS,
  );

  test('records a change before it is made, and once more where it fails', async () => {
    const audit = open();
    const before = (await installation().storage.audit.last())?.seq ?? 0;
    const failing = audit.as(ACTOR)(change(1), async () => {
      expect((await installation().storage.audit.last())?.seq).toBe(before + 1);
      throw new Error('it failed');
    });
    await expect(failing).rejects.toThrow('it failed');
    await audit.flush();
    const last = await installation().storage.audit.last();
    expect(last).toMatchObject({
      ...{ seq: before + 2, actor: 'test', ip: '192.0.2.1', requestId: 'r-1' },
      ...{ action: 'test.change', target: 'thing:1' },
      details: { outcome: 'failed', of: before + 1, code: 'server_error' },
    });
  });

  test('where it cannot be written the change is not made', async () => {
    const away = async (): Promise<never> => {
      throw storeUnavailable(new Error('down'));
    };
    const audit = open({ ...installation().storage.audit, append: away });
    let isMade = false;
    const made = audit.as(ACTOR)(change(1), async () => {
      isMade = true;
    });
    await expect(made).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('Nothing was changed'),
    });
    expect(isMade).toBe(false);
  });

  test('a write whose answer was lost is not made twice', async () => {
    const { storage } = installation();
    let isLost = true;
    const audit = open({
      ...storage.audit,
      append: async (record) => {
        const isWritten = await storage.audit.append(record);
        if (!isLost) return isWritten;
        isLost = false;
        throw storeUnavailable(new Error('the answer was lost'));
      },
    });
    const before = (await storage.audit.last())?.seq ?? 0;
    audit.note({ by: ACTOR, ...change(77) });
    await expect(audit.flush()).rejects.toMatchObject({ code: 'store_unavailable' });
    await audit.flush();
    const records = (await readAll(storage.audit)).slice(before);
    expect(records.map(({ target }) => target)).toEqual(['thing:77']);
  });

  test('what waits for a store that is away is bounded, and what is lost is counted in the log', async () => {
    const { storage } = installation();
    let isAway = true;
    const audit = open({
      ...storage.audit,
      last: async () => {
        if (isAway) throw storeUnavailable(new Error('down'));
        return storage.audit.last();
      },
    });
    const before = (await storage.audit.last())?.seq ?? 0;
    for (let n = 0; n < 1_003; n += 1) audit.note({ by: { ...ACTOR, actor: `a${n % 20}` }, ...change(n) });
    await expect(audit.flush()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(audit.waiting()).toBe(1_003);
    isAway = false;
    await audit.flush();
    expect(audit.waiting()).toBe(0);
    const last = await storage.audit.last();
    expect(last).toMatchObject({ seq: before + 1_001, action: 'audit.lost', details: { count: 3 } });
  });

  test('who floods it loses records of their own, but neither those of others nor of what matters', async () => {
    const { storage } = installation();
    const audit = open();
    const before = (await storage.audit.last())?.seq ?? 0;
    const by = (actor: string) => ({ ...ACTOR, actor });
    for (let n = 0; n < 2_000; n += 1) audit.note({ by: by('flood'), ...change(n) });
    audit.note({ by: by('flood'), ...change(1), action: 'api_key.create' });
    audit.note({ by: by('other'), ...change(2) });
    await audit.flush();
    const records = (await readAll(storage.audit)).slice(before);
    expect(records).toHaveLength(103);
    expect(records.slice(100).map(({ actor, action, details }) => [actor, action, details])).toEqual([
      ['flood', 'api_key.create', { n: 1 }],
      ['other', 'test.change', { n: 2 }],
      ['server', 'audit.lost', { count: 1_900 }],
    ]);
    for (let n = 0; n < 100; n += 1) audit.note({ by: by('flood'), ...change(n) });
    await audit.flush(); // what was written makes room
    expect((await storage.audit.last())?.seq).toBe(before + 203);
  });

  describe('behind our back', () => {
    let tamper: Tamper;
    let audit: Audit;
    let records: readonly AuditRecord[] = [];
    beforeAll(async () => {
      tamper = await openTamper(kind, installation());
      audit = open();
      for (let n = 0; n < 8; n += 1) await audit.as(ACTOR)(change(n), nothing);
      records = await readAll(installation().storage.audit);
      expect(await audit.verify(null)).toMatchObject({ ok: true });
    });
    afterAll(() => tamper.close());

    const at = (index: number): AuditRecord => {
      const record = records.at(index);
      if (record === undefined) throw new Error(`there is no record ${index}`);
      return record;
    };
    /** Does it, looks, and puts everything back. */
    const verifyAfter = async (
      work: () => Promise<void>,
      known = null as { seq: number; hash: string } | null,
    ) => {
      await work();
      const found = await audit.verify(known);
      for (const record of records) await tamper.put(record.seq, record);
      expect(await audit.verify(null)).toMatchObject({ ok: true });
      return found;
    };

    test('a record that was edited is found', async () => {
      const { seq, ...rest } = at(3);
      const found = await verifyAfter(() => tamper.put(seq, { ...rest, seq, actor: 'somebody else' }));
      expect(found).toMatchObject({ ok: false, seq, fault: 'changed' });
    });

    test('a record that was removed is found', async () => {
      const { seq } = at(4);
      expect(await verifyAfter(() => tamper.remove(seq))).toMatchObject({ ok: false, seq, fault: 'missing' });
    });

    test('the first record of all, removed, is found', async () => {
      expect(await verifyAfter(() => tamper.remove(1))).toMatchObject({
        ok: false,
        seq: 1,
        fault: 'missing',
      });
    });

    test('two records that were swapped are found', async () => {
      const [one, other] = [at(2), at(5)];
      const found = await verifyAfter(async () => {
        await tamper.put(one.seq, other);
        await tamper.put(other.seq, one);
      });
      expect(found).toMatchObject({ ok: false, seq: one.seq, fault: 'missing' });
    });

    test('two records that were swapped, and numbered anew, are found', async () => {
      const [one, other] = [at(2), at(5)];
      const found = await verifyAfter(async () => {
        await tamper.put(one.seq, { ...other, seq: one.seq });
        await tamper.put(other.seq, { ...one, seq: other.seq });
      });
      expect(found).toMatchObject({ ok: false, seq: one.seq, fault: 'changed' });
    });

    test('a record that was made without the key is found', async () => {
      const last = at(-1);
      const forger = createAudit({ store: installation().storage.audit, chainKey: 'guessed', now });
      const found = await verifyAfter(async () => {
        await tamper.remove(last.seq);
        await forger.as(ACTOR)(change(9), nothing);
      });
      expect(found).toMatchObject({ ok: false, seq: last.seq, fault: 'changed' });
    });

    test('newest records that were removed are found by one that was noted', async () => {
      const last = at(-1);
      const known = { seq: last.seq, hash: last.hash };
      const found = await verifyAfter(() => tamper.remove(last.seq), known);
      expect(found).toMatchObject({ ok: false, seq: last.seq, fault: 'known' });
      expect(await audit.verify(known)).toMatchObject({ ok: true });
      expect(await audit.verify({ ...known, hash: at(0).hash })).toMatchObject({ ok: false, fault: 'known' });
    });
  });
});

/** Writes to the database itself, as somebody with its password can. */
interface Tamper {
  put(seq: number, record: AuditRecord): Promise<void>;
  remove(seq: number): Promise<void>;
  close(): Promise<void>;
}

const openTamper = (kind: string, { secrets, config }: Installation): Promise<Tamper> =>
  kind === 'SQLite' && config.database.kind === 'sqlite'
    ? tamperSqlite(config.database.path)
    : tamperMongo(secrets.databaseUrl);

async function tamperSqlite(path: string): Promise<Tamper> {
  const database = new DatabaseSync(path, { timeout: 5_000 });
  for (const trigger of ['audit_taken', 'audit_unchanged', 'audit_undeleted'])
    database.exec(`DROP TRIGGER IF EXISTS ${trigger}`);
  const put = database.prepare('INSERT OR REPLACE INTO audit VALUES (?, ?, ?, ?, ?, ?)');
  const remove = database.prepare('DELETE FROM audit WHERE seq = ?');
  return {
    put: async (seq, record) => {
      const { at, actor, action, target } = record;
      put.run(seq, at, actor, action, target, JSON.stringify(record));
    },
    remove: async (seq) => void remove.run(seq),
    close: async () => database.close(),
  };
}

async function tamperMongo(url: string): Promise<Tamper> {
  const connection = await mongoose.createConnection(url).asPromise();
  const records = connection.collection<{ _id: number } & Record<string, unknown>>('audit');
  return {
    put: async (seq, record) => {
      const { at, actor, action, target } = record;
      const row = { at, actor, action, target, record: JSON.stringify(record) };
      await records.replaceOne({ _id: seq }, row, { upsert: true });
    },
    remove: async (seq) => {
      await records.deleteOne({ _id: seq });
    },
    close: () => connection.destroy(),
  };
}
