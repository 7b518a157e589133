/** The audit log in SQLite: a record's number is its primary key, and triggers refuse to change or delete one. */
import type { AuditFilter, AuditRecord, AuditStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { parseRecord, toPage } from './records.ts';
import { createSelect, where } from './selection.ts';
import type { Condition } from './selection.ts';

/** No two clocks of an installation differ by more: so far may records stand out of the order of their times. */
const CLOCK_SKEW_SECONDS = 600;

export function createAuditStore({ database, read, write }: Connection): AuditStore {
  const last = database.prepare('SELECT record FROM audit ORDER BY seq DESC LIMIT 1');
  const select = createSelect(database, 'SELECT record FROM audit');

  return {
    append: async (record) => {
      const { seq, at, actor, action, target } = record;
      const { changes } = await write('appendAudit', seq, at, actor, action, target, JSON.stringify(record));
      return changes === 1;
    },
    last: () =>
      read(() => {
        const row = last.get();
        return row === undefined ? null : parseRecord<AuditRecord>(row);
      }),
    list: ({ after, limit }, filter = {}, order = 'newest') =>
      read(() => {
        const isNewest = order === 'newest';
        // A cursor that no list gave is no number, and nothing comes before or after that.
        const begin = after === undefined ? [] : where(isNewest ? 'seq < ?' : 'seq > ?', Number(after));
        const conditions: readonly Condition[] = [['true'], ...begin, ...conditionsOf(filter)];
        const rows = select(conditions, isNewest ? 'seq DESC' : 'seq', limit + 1);
        return toPage<AuditRecord>(rows, limit, ({ seq }) => String(seq));
      }),
  };
}

function conditionsOf({ actor, action, target, from, until }: AuditFilter): readonly Condition[] {
  // The first that is given is looked up by its index, the others (+) are compared: few share a target, many an action.
  const [first = [], ...others] = [
    where('target = ?', target),
    where('actor = ?', actor),
    where('action = ?', action),
  ].filter((conditions) => conditions.length > 0);
  return [
    ...first,
    ...others.flat().map(([sql, ...values]): Condition => [`+${sql}`, ...values]),
    ...(from === undefined ? [] : [since(from)]),
    ...(until === undefined ? [] : [before(until)]),
  ];
}

// Times grow with the numbers, but for what clocks differ: so a look-up by time bounds what is read by number.
const since = (from: number): Condition => [
  `+at >= ? AND seq > coalesce(
     (SELECT seq FROM audit WHERE at <= ? ORDER BY at DESC, seq DESC LIMIT 1), 0)`,
  from,
  from - CLOCK_SKEW_SECONDS,
];

const before = (until: number): Condition => [
  `+at < ? AND seq < coalesce(
     (SELECT seq FROM audit WHERE at >= ? ORDER BY at, seq LIMIT 1), ${Number.MAX_SAFE_INTEGER})`,
  until,
  until + CLOCK_SKEW_SECONDS,
];
