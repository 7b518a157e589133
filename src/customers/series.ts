/**
 * The ids of customers' tokens: `SERIES.EXPIRY.UUID`. A series is a number, which only grows for one username, and a random
 * part; whoever knows the number tells the tokens from before a change from those after it, whatever the clocks say. With
 * the expiry in it, what names a token is kept no longer than the token lives. Numbers are in base 36.
 */
import { randomBytes, randomUUID } from 'node:crypto';

const BASE = 36;
const RANDOM_BYTES = 9;
const NUMBER = /^[0-9a-z]{1,10}$/;

/** A series of that number, which no other one equals. */
export const newSeries = (number: number): string =>
  `${number.toString(BASE)}~${randomBytes(RANDOM_BYTES).toString('base64url')}`;

/** Of a series, or of a token's id, which begins with one; 0 where it names none. */
export const numberOf = (series: string): number => toNumber(/^([^~.]*)~/.exec(series)?.[1]) ?? 0;

/** The id of a token that is issued now. */
export const newTokenId = (series: string, exp: number): string =>
  `${series}.${exp.toString(BASE)}.${randomUUID()}`;

/** When the token of that id expires; null where the id does not say. */
export const expiryOf = (jti: string): number | null => toNumber(jti.split('.')[1]);

const REST = /^\.[0-9a-z]{1,10}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether the id is one that a token of the series may have: nothing else is kept as one. */
export const isOfSeries = (jti: string, series: string): boolean =>
  jti.startsWith(series) && REST.test(jti.slice(series.length));

const toNumber = (text = ''): number | null => (NUMBER.test(text) ? Number.parseInt(text, BASE) : null);
