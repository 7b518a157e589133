/** What goes in and out at the JSON API of accounts. Answers are allow-lists: what is not named here is not told. */
import { z } from 'zod';

import type { IssuedTokens } from '../../oidc/first-party.ts';
import type { SessionView } from '../../oidc/sessions.ts';
import type { Account } from '../../storage/port.ts';
import { describeDevice } from '../../http/device.ts';
import { toInstant } from '../../instant.ts';
import { parseEmail, parseFullName } from '../identity.ts';
import { SERVER_ROLES } from '../registration.ts';
import { fits } from '../schema.ts';
import { serverRoleOf } from '../server-role.ts';

const MAX_TEXT = 320;
// Longer than any password may be, so that its own rules say what is wrong with it.
const MAX_PASSWORD = 4_096;

/** A username or an address, as it is typed to sign in. */
export const Login = z.string().min(1).max(MAX_TEXT);
/** Whatever is typed where an address is asked for. */
export const Typed = z.string().max(MAX_TEXT);
export const Email = z.string().max(MAX_TEXT).superRefine(fits(parseEmail));
export const FullName = z.string().max(1_000).nullable().superRefine(fits(parseFullName));
/** As it was typed, never trimmed. */
export const Password = z.string().min(1).max(MAX_PASSWORD);
export const Token = z.string().min(1).max(MAX_TEXT);

const Time = z.string().meta({ format: 'date-time' });

export const User = z
  .object({
    id: z.string().meta({ description: 'Never changes; the `sub` of ID tokens.' }),
    username: z.string(),
    email: z.string(),
    email_verified: z.boolean(),
    full_name: z.string().nullable(),
    role: z.enum(SERVER_ROLES),
    created_at: Time,
  })
  .meta({ id: 'User' });

export const Tokens = z
  .object({
    access_token: z.string(),
    refresh_token: z.string().meta({ description: 'Good for one refresh.' }),
    token_type: z.literal('bearer'),
    expires_in: z.int().meta({ description: 'Seconds that the access token lives.' }),
    user: User,
  })
  .meta({ id: 'Tokens' });

const OtherDevice = z.object({
  device: z.string().nullable(),
  fingerprint: z.string(),
  ip: z.string(),
  seen_at: Time,
});

export const Session = z
  .object({
    id: z.string(),
    kind: z.enum(['api', 'browser']),
    device: z
      .string()
      .nullable()
      .meta({ description: 'Such as “Firefox, Linux”; null where it says nothing.' }),
    fingerprint: z.string().meta({ description: 'The same for the same kind of device.' }),
    ip: z.string().meta({ description: 'Of the last visit.' }),
    first_seen: Time,
    last_seen: Time,
    expires_at: Time,
    current: z.boolean().meta({ description: 'The one that asks.' }),
    other_device: OtherDevice.nullable().meta({
      description: 'Another kind of device that refreshed its tokens: end the session where it is not yours.',
    }),
  })
  .meta({ id: 'Session' });

export const toUser = (account: Account): z.input<typeof User> => ({
  id: account.id,
  username: account.username,
  email: account.email,
  email_verified: account.isEmailVerified,
  full_name: account.fullName,
  role: serverRoleOf(account),
  created_at: toInstant(account.createdAt),
});

export const toTokens = (issued: IssuedTokens, account: Account): z.input<typeof Tokens> => ({
  access_token: issued.accessToken,
  refresh_token: issued.refreshToken,
  token_type: 'bearer',
  expires_in: issued.expiresInSeconds,
  user: toUser(account),
});

export const toSession = (view: SessionView, currentId: string | null): z.input<typeof Session> => ({
  id: view.id,
  kind: view.isOfApi ? 'api' : 'browser',
  device: describeDevice(view.userAgent),
  fingerprint: view.fingerprint,
  ip: view.ip,
  first_seen: toInstant(view.signedInAt),
  last_seen: toInstant(view.lastSeenAt),
  expires_at: toInstant(view.expiresAt),
  current: view.id === currentId,
  other_device: view.elsewhere && {
    device: describeDevice(view.elsewhere.userAgent),
    fingerprint: view.elsewhere.fingerprint,
    ip: view.elsewhere.ip,
    seen_at: toInstant(view.elsewhere.at),
  },
});
