/** What goes in and out of API keys, in JSON and on the command line. Answers are allow-lists, without a digest. */
import { z } from 'zod';

import { toInstant, toInstantOrNull } from '../instant.ts';
import { KEY_PERMISSIONS } from '../permissions.ts';
import type { ApiKey } from '../storage/port.ts';
import type { ApiKeyChanges } from './api-keys.ts';
import { overlapEnd } from './rules.ts';

const MAX_NAME = 100;
const MAX_RATE = 1_000_000;
export const MAX_OVERLAP_SECONDS = 30 * 86_400;

/** It is shown on pages and in terminals. */
const Name = z
  .string()
  .trim()
  .min(1, 'a name of 1 to 100 characters')
  .max(MAX_NAME, `a name of 1 to ${MAX_NAME} characters`)
  .regex(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]*$/u, 'a name without control characters')
  .meta({ description: 'What the key is for, in your words.' });

const Scopes = z.array(z.enum(KEY_PERMISSIONS, `one of ${KEY_PERMISSIONS.join(', ')}`)).meta({
  description:
    'What the key may do, where its owner may do it, too. Left out: all that the owner may, but for `admin:…`.',
});

const Time = z.iso
  .datetime({ offset: true, error: 'a time such as 2027-01-31T00:00:00Z' })
  .transform((text) => Math.floor(Date.parse(text) / 1_000));

const RateLimit = z.int().min(1).max(MAX_RATE).nullable().meta({
  description:
    'Requests an hour: at most as many as its owner has, unless an administrator says it; null: as its owner has.',
});

const ExpiresAt = Time.nullable().meta({
  description: 'From then on it is refused; null: it does not expire.',
});

export const NewKey = z.strictObject({
  name: Name,
  scopes: Scopes.optional(),
  rate_limit: RateLimit.optional(),
  expires_at: ExpiresAt.optional(),
});

/** What is left out stays as it is. */
export const KeyChanges = z
  .strictObject({
    name: Name.optional(),
    scopes: Scopes.optional(),
    rate_limit: RateLimit.optional(),
    expires_at: ExpiresAt.optional(),
  })
  .refine((changes) => Object.keys(changes).length > 0, 'name what changes');

export const Rotation = z.strictObject({
  overlap: z
    .int()
    .min(0)
    .max(MAX_OVERLAP_SECONDS)
    .default(0)
    .meta({ description: 'Seconds that the secret before goes on working.' }),
});

/** In the slice's words. */
export const toChanges = ({
  name,
  scopes,
  rate_limit: rateLimit,
  expires_at: expiresAt,
}: z.output<typeof KeyChanges>): ApiKeyChanges => ({ name, scopes, rateLimit, expiresAt });

const Moment = z.string().meta({ format: 'date-time' });

export const Key = z
  .object({
    key_id: z.string(),
    name: z.string(),
    scopes: z.array(z.string()),
    rate_limit: z.int().nullable().meta({ description: 'Requests an hour; null: as its owner has.' }),
    created_at: Moment,
    expires_at: Moment.nullable(),
    expired: z.boolean(),
    last_used_at: Moment.nullable().meta({ description: 'To the minute.' }),
    previous_secret_until: Moment.nullable().meta({
      description: 'Until when a rotation lets the secret before it go on; null where there is none.',
    }),
  })
  .meta({ id: 'ApiKey' });

export const KeyWithSecret = Key.extend({
  secret: z.string().meta({ description: 'The key itself, shown this once: only its digest is kept.' }),
}).meta({ id: 'ApiKeyWithSecret' });

export type KeyView = z.input<typeof Key>;

/** What may be shown of a key. */
export const toView = (key: ApiKey, now: number): KeyView => ({
  key_id: key.id,
  name: key.name,
  scopes: [...key.scopes],
  rate_limit: key.rateLimit,
  created_at: toInstant(key.createdAt),
  expires_at: toInstantOrNull(key.expiresAt),
  expired: key.expiresAt !== null && key.expiresAt <= now,
  last_used_at: toInstantOrNull(key.lastUsedAt),
  previous_secret_until: toInstantOrNull(overlapEnd(key, now)),
});
