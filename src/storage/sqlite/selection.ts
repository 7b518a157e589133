/** Selecting by a filter of which any part may be absent: a statement for each set of conditions, each with its index. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import type { Parameter, Row } from './statements.ts';

/** Some SQL of ours, and the values of its parameters. */
export type Condition = readonly [sql: string, ...values: Parameter[]];

/** Rows that meet all conditions, at most `limit`. */
type Select = (conditions: readonly Condition[], order: string, limit: number) => readonly Row[];

/** The condition, where its value is given. */
export const where = (sql: string, value: Parameter | undefined): readonly Condition[] =>
  value === undefined ? [] : [[sql, value]];

/** `select` is the statement up to its WHERE. A statement is prepared when it is needed first. */
export function createSelect(database: DatabaseSync, select: string): Select {
  const prepared = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const statement = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };

  return (conditions, order, limit) => {
    const all = conditions.map(([sql]) => `(${sql})`).join(' AND ');
    const statement = prepare(`${select} WHERE ${all} ORDER BY ${order} LIMIT ?`);
    return statement.all(...conditions.flatMap(([, ...values]) => values), limit);
  };
}
