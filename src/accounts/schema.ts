/**
 * What an administrator may say of a user, in an apply file, a line of an import or options: strictly, and each fault
 * with its path. What needs the settings or the store (names, roles, passwords) is judged in `declared.ts`.
 */
import { z } from 'zod';

import { AppError } from '../errors.ts';
import { readInput } from '../input-words.ts';
import { parseEmail, parseFullName, parseUsername } from './identity.ts';
import type { FieldFault } from './identity.ts';
import { isKnownHash } from './passwords.ts';
import { OWN_AUDIENCE, SERVER_ROLES } from './registration.ts';

// More than one person has; each is looked up.
const MAX_AUDIENCES = 100;

type Parse<T> = (typed: T) => { readonly ok: true } | { readonly ok: false; readonly fault: FieldFault };

const NO_PASSWORD = 'a service account has none: it has API keys, or a client acts for it';

/** Tells what the slice's own reading of a field finds. */
export const fits =
  <T>(parse: Parse<T>) =>
  (typed: T, context: z.RefinementCtx): void => {
    const parsed = parse(typed);
    if (!parsed.ok) context.addIssue({ code: 'custom', message: parsed.fault.message });
  };

/** What is left out stays as it is, and is the default for a new user. */
export const UserInput = z
  .strictObject({
    username: z
      .string()
      .superRefine(fits((typed) => parseUsername(typed, { reserved: [], mayBeOfficial: true }))),
    email: z.string().superRefine(fits(parseEmail)).optional(),
    email_verified: z.boolean().optional(),
    full_name: z.string().nullable().superRefine(fits(parseFullName)).optional(),
    password: z.string().optional(),
    password_hash: z
      .string()
      .refine(
        isKnownHash,
        'no hash that can be checked: argon2, bcrypt ($2a$, $2b$, $2y$), pbkdf2_sha256$… or $scrypt$ln=…, of bounded cost',
      )
      .optional(),
    role: z.enum(SERVER_ROLES, `one of ${SERVER_ROLES.join(', ')}`).optional(),
    roles: z
      .record(z.string().regex(/^\P{C}{1,200}$/u), z.string())
      .refine((roles) => Object.keys(roles).length <= MAX_AUDIENCES, `at most ${MAX_AUDIENCES} audiences`)
      .refine((roles) => !Object.hasOwn(roles, OWN_AUDIENCE), `say the role on ${OWN_AUDIENCE} by "role"`)
      .optional(),
    disabled: z.boolean().optional(),
  })
  .refine(({ password, password_hash: hash }) => password === undefined || hash === undefined, {
    path: ['password_hash'],
    message: 'give a password or its hash, not both',
  })
  .superRefine(({ role, password, password_hash: hash }, context) => {
    if (role !== 'service_account') return;
    for (const [field, value] of Object.entries({ password, password_hash: hash })) {
      if (value !== undefined) context.addIssue({ code: 'custom', path: [field], message: NO_PASSWORD });
    }
  });

export type UserInput = z.infer<typeof UserInput>;

/** Reads what came as JSON or options. Throws `invalid_request` with every fault. */
export function parseUser(input: unknown): UserInput {
  const read = readInput(UserInput, input);
  if (read.ok) return read.value;
  const faults = read.faults.map(({ path, message }) => ({ path: printable(path), message }));
  const sentences = faults.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  throw new AppError('invalid_request', sentences.join('; '), { errors: faults });
}

/** The names of fields come from files, and are shown in terminals. */
const printable = (path: readonly PropertyKey[]): string =>
  path.map(String).join('.').replaceAll(/\p{C}/gu, '?');
