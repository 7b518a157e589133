/** What goes in and out at the admin API. Answers are allow-lists: what is not named here is not told. */
import { z } from 'zod';

import { SERVER_ROLES } from '../accounts/registration.ts';
import { toInstant } from '../instant.ts';
import type { Figures } from '../statistics/figures.ts';
import type { Totals } from './options.ts';

const MAX_TEXT = 320;
const MAX_PASSWORD = 4_096;

const Time = z.string().meta({ format: 'date-time' });
const Role = z.enum(SERVER_ROLES, `one of ${SERVER_ROLES.join(', ')}`);
const Roles = z
  .record(z.string().min(1).max(200), z.string().max(100))
  .meta({ description: 'Audience → role, on VPN nodes and at resource servers.' });

/** What may be said of a user; names, addresses and roles are judged by the rules of all users. */
const Changeable = {
  email: z.string().max(MAX_TEXT).optional(),
  email_verified: z.boolean().optional(),
  full_name: z.string().max(1_000).nullable().optional(),
  role: Role.optional(),
  roles: Roles.optional(),
  disabled: z.boolean().optional(),
};

export const NewUser = z.strictObject({
  ...Changeable,
  username: z.string().max(MAX_TEXT),
  email: z
    .string()
    .max(MAX_TEXT)
    .optional()
    .meta({ description: 'Left out for a service account alone, which is sent no mail.' }),
  password: z
    .string()
    .min(1)
    .max(MAX_PASSWORD)
    .optional()
    .meta({ description: 'Left out, the person sets one by a mailed link; a service account has none.' }),
});

export const UserChanges = z.strictObject(Changeable);

export const PasswordReset = z.strictObject({
  password: z
    .string()
    .min(1)
    .max(MAX_PASSWORD)
    .optional()
    .meta({ description: 'The new one; left out, the person is mailed a link to set their own.' }),
});

export const UserId = z.strictObject({ user_id: z.string().min(1).max(64) });

const userFields = {
  id: z.string(),
  username: z.string(),
  email: z.string(),
  email_verified: z.boolean(),
  full_name: z.string().nullable(),
  role: z.string(),
  roles: Roles,
  disabled: z.boolean(),
  has_password: z.boolean(),
  created_at: Time,
  updated_at: Time,
};

export const AdminUser = z
  .object(userFields)
  .meta({ id: 'AdminUser', description: 'A user, as administrators see one.' });

export const AdminUserDetails = z
  .object({
    ...userFields,
    password_changed_at: Time.nullable(),
    locked_until: Time.nullable().meta({ description: 'By too many wrong passwords; null where it is not.' }),
  })
  .meta({ id: 'AdminUserDetails' });

export const AuditEntry = z
  .object({
    seq: z.int().meta({ description: '1, 2, 3, … without a gap.' }),
    at: Time,
    actor: z
      .string()
      .meta({ description: 'Such as `account:ID`, `client:ID`, `cli`, `server`, `anonymous`.' }),
    action: z.string().meta({ description: 'Such as `account.unlock`.' }),
    target: z.string().nullable(),
    ip: z.string().nullable(),
    request_id: z.string().nullable(),
    details: z.record(z.string(), z.unknown()),
    previous_hash: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEntry' });

const Count = z.int().min(0);

export const Stats = z
  .object({
    users: z.object({
      total: Count,
      locked: Count.meta({ description: 'By too many wrong passwords; at most 10,000 are counted.' }),
      by_role_and_status: z.array(
        z.object({ role: z.string(), status: z.enum(['active', 'disabled']), count: Count }),
      ),
    }),
    active_sessions: Count,
    api_keys: Count,
    hours: z
      .array(
        z.object({
          hour: Time,
          sign_ins: Count,
          failures: Count,
          lockouts: Count,
          registrations: Count,
          tokens: Count,
        }),
      )
      .meta({ description: 'The oldest first, without a gap; the last one is the present hour.' }),
    tokens_by_grant: z.record(z.string(), Count).meta({ description: 'In these hours.' }),
    top_clients: z
      .array(z.object({ client_id: z.string().nullable(), tokens: Count }))
      .meta({ description: 'The busiest first. Null: all that were too many to be told apart.' }),
  })
  .meta({ id: 'Stats' });

export const toStats = (totals: Totals, figures: Figures): z.input<typeof Stats> => ({
  users: {
    total: totals.users.reduce((sum, { count }) => sum + count, 0),
    locked: totals.lockedUsers,
    by_role_and_status: totals.users.map(({ role, status, count }) => ({
      role: role ?? 'guest',
      status,
      count,
    })),
  },
  active_sessions: totals.sessions,
  api_keys: totals.apiKeys,
  hours: figures.hours.map((hour) => ({
    hour: toInstant(hour.hourAt),
    sign_ins: hour.signIns,
    failures: hour.refused,
    lockouts: hour.locked,
    registrations: hour.registered,
    tokens: hour.tokens,
  })),
  tokens_by_grant: { ...figures.tokensByGrant },
  top_clients: figures.topClients.map(({ clientId, tokens }) => ({ client_id: clientId, tokens })),
});
