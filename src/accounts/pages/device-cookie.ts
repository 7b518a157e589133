/**
 * The signed cookie by which a browser is known again: one for each account that signed in on it. Such a device has
 * its own count of failures, so that strangers who guess cannot lock its owner out. A new password makes it unknown: it
 * may be the thief's who had the old one.
 */
import { createHash, randomBytes } from 'node:crypto';

import type { Context } from 'koa';

import { createSeal } from '../../http/cookies.ts';
import type { Cookies, SigningSecrets } from '../../http/cookies.ts';
import type { Account } from '../../storage/port.ts';

const LIFETIME_SECONDS = 180 * 86_400;
const VALUE = /^([\w-]{22})\.([\w-]{43})$/;

type Owner = Pick<Account, 'id' | 'passwordChangedAt'>;

export interface DeviceCookie {
  /** The id under which this browser is known for the account; null for a stranger. */
  find(ctx: Context, owner: Owner): string | null;
  /** Makes this browser known for the account; gives its id. */
  remember(ctx: Context, owner: Owner): string;
}

export function createDeviceCookie(cookies: Cookies, secrets: SigningSecrets): DeviceCookie {
  const seal = createSeal(secrets, 'device');
  const find = (ctx: Context, owner: Owner): string | null => {
    const [, device = '', code = ''] = VALUE.exec(cookies.read(ctx, nameFor(owner.id)) ?? '') ?? [];
    return device !== '' && seal.matches(textOf(owner, device), code) ? device : null;
  };
  return {
    find,
    remember: (ctx, owner) => {
      const device = find(ctx, owner) ?? randomBytes(16).toString('base64url');
      const value = `${device}.${seal.of(textOf(owner, device))}`;
      cookies.write(ctx, nameFor(owner.id), value, LIFETIME_SECONDS);
      return device;
    },
  };
}

const textOf = ({ id, passwordChangedAt }: Owner, device: string): string =>
  `${id} ${device} ${passwordChangedAt ?? 0}`;

/** The account is not told to whoever reads the cookie's name. */
const nameFor = (accountId: string): string =>
  `portcullis_device_${createHash('sha256').update(accountId).digest('base64url').slice(0, 12)}`;
