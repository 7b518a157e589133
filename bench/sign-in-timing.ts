/**
 * Whether the time of a refusal tells who has an account. Sign-ins by the real page, as a browser sends them, of each
 * kind (a name that nobody has, a wrong password, a disabled account, accounts with the hashes of other systems,
 * locked ones), and concealed registrations (name and address free or taken), in one random order. Each kind is
 * compared to the same of nobody by ranks (Mann-Whitney), and so is a second sample of nobody: the control. A kind
 * differs where chance hardly explains it, and both halves of its samples go the same way. Status, body and
 * headers are compared, too. Ends with 1 where anything differs. `BENCH_SAMPLES` of each kind (200), `BENCH_LANES`
 * requests at once (4).
 */
import { randomBytes, randomInt, scryptSync, pbkdf2Sync } from 'node:crypto';

import argon2 from 'argon2';
import bcrypt from 'bcryptjs';

import { openForm } from './page-form.ts';
import type { Reply, SendForm } from './page-form.ts';
import { bounded, start } from './server-process.ts';
import { ascending, bars, compareRanks, median, quantile } from './statistics.ts';
import type { RankTest } from './statistics.ts';

const SAMPLES = bounded(process.env['BENCH_SAMPLES'], 200, 5_000);
const LANES = bounded(process.env['BENCH_LANES'], 4, 16);
/** Four failures leave an account open; the fifth locks it. */
const TRIES = 4;
const ACCOUNTS = Math.ceil(SAMPLES / TRIES);
const PASSWORD = 'A-wrong-Passw0rd';
/** With ten comparisons a run: a false alarm in a thousand runs. */
const MAX_P = 0.0001;
/** A shift that ranks can tell, and nobody by a few requests: 0.5 is none. */
const MIN_SHIFT = 0.15;

/** Headers whose values differ from one request to the next. */
const CHANGING = ['date', 'x-request-id', 'ratelimit', 'retry-after'];

/** How one request of a kind is made; `nth` counts them. */
interface Kind {
  readonly name: string;
  /** The kind that it must not differ from; null for those themselves. */
  readonly like: string | null;
  readonly send: (nth: number) => Promise<Reply>;
}

interface Taken {
  readonly kind: Kind;
  readonly ms: number[];
  /** What a stranger sees, without what differs from one request to the next. */
  seen: string | null;
}

const HASHES = {
  'wrong password': await argon2.hash('x', {
    type: argon2.argon2id,
    memoryCost: 19_456,
    timeCost: 2,
    parallelism: 1,
  }),
  'bcrypt, cost 10': bcrypt.hashSync('x', 10),
  'pbkdf2, 600000': `pbkdf2_sha256$600000$salt$${pbkdf2Sync('x', 'salt', 600_000, 32, 'sha256').toString('base64')}`,
  'scrypt, 32 MiB': `$scrypt$ln=15,r=8,p=1$c2FsdA==$${scryptSync('x', 'salt', 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 }).toString('base64')}`,
} as const;

const accountsOf = (kind: string): string =>
  kind
    .replaceAll(/[^a-z]/g, '')
    .slice(0, 8)
    .padEnd(8, 'x');
/** All names have one length, so that answers that repeat them have one, too. */
const nameOf = (kind: string, nth: number): string => `${accountsOf(kind)}${String(nth).padStart(8, '0')}`;
const freshName = (): string => randomBytes(8).toString('hex');

const declared = (kind: string, fields: object): object[] =>
  Array.from({ length: ACCOUNTS }, (_, nth) => {
    const username = nameOf(kind, nth);
    return { username, email: `${username}@example.com`, email_verified: true, ...fields };
  });

const users = [
  ...Object.entries(HASHES).flatMap(([kind, hash]) => declared(kind, { password_hash: hash })),
  ...declared('disabled', { password_hash: HASHES['wrong password'], disabled: true }),
  ...declared('locked', { password_hash: HASHES['wrong password'] }).slice(0, 1),
];
const server = await start('Portcullis', 'portcullis-server.ts', {
  BENCH_SETTINGS: JSON.stringify({ RATE_LIMIT_IP: '1000000', REGISTRATION_CONCEAL: 'on' }),
  BENCH_USERS: JSON.stringify(users),
});
try {
  const failed = await measure();
  process.exitCode = failed ? 1 : 0;
} finally {
  server.child.disconnect();
}

async function measure(): Promise<boolean> {
  const signIn = await openForm(server.origin, '/account', '/account/sign-in');
  const register = await openForm(server.origin, '/account/register', '/account/register');
  const kinds = [...(await signInKinds(signIn)), ...registerKinds(register)];
  const taken = new Map(kinds.map((kind): [string, Taken] => [kind.name, { kind, ms: [], seen: null }]));
  await sample([...taken.values()]);
  return report(taken);
}

async function signInKinds(form: SendForm): Promise<readonly Kind[]> {
  const send = (login: string) => form({ login, password: PASSWORD });
  const nobody = (): Promise<Reply> => send(freshName());
  const one = (name: string): Kind => ({
    name,
    like: 'nobody',
    send: (nth) => send(nameOf(name, Math.floor(nth / TRIES))),
  });
  const [locked, lockedName] = [nameOf('locked', 0), freshName()];
  for (let nth = 0; nth <= TRIES; nth += 1) {
    await send(locked);
    await send(lockedName);
  }
  return [
    { name: 'nobody', like: null, send: nobody },
    { name: 'nobody (control)', like: 'nobody', send: nobody },
    ...Object.keys(HASHES).map(one),
    one('disabled'),
    { name: 'locked, nobody', like: null, send: () => send(lockedName) },
    { name: 'locked', like: 'locked, nobody', send: () => send(locked) },
  ];
}

function registerKinds(form: SendForm): readonly Kind[] {
  const taken = nameOf('disabled', 0);
  const send = (username: string, name: string) =>
    form({ username, email: `${name}@example.com`, fullName: '', password: 'correct-Horse-7-battery' });
  const free = (): Promise<Reply> => send(freshName(), freshName());
  return [
    { name: 'register', like: null, send: free },
    { name: 'register (control)', like: 'register', send: free },
    { name: 'register, taken name', like: 'register', send: () => send(taken, freshName()) },
    { name: 'register, taken mail', like: 'register', send: () => send(freshName(), taken) },
  ];
}

/** All kinds in turns, in a random order within each turn, on several lanes. */
async function sample(all: readonly Taken[]): Promise<void> {
  const due = Array.from({ length: SAMPLES }, (_, nth) => shuffled(all).map((one) => ({ one, nth }))).flat();
  const lane = async (): Promise<void> => {
    for (let next = due.shift(); next !== undefined; next = due.shift()) {
      const { one, nth } = next;
      const reply = await one.kind.send(nth);
      one.ms.push(reply.ms);
      one.seen ??= toSeen(reply);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

function shuffled<T>(items: readonly T[]): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(randomInt(left.length), 1));
}

function toSeen({ status, headers, body }: Reply): string {
  const kept = Object.entries(headers).map(([name, value]) => [name, CHANGING.includes(name) ? '' : value]);
  // The names that were typed, and times of locks.
  const text = body
    .replaceAll(/\b[0-9a-z]{16}\b/g, 'NAME')
    .replaceAll(/<time.*?<\/time>|in \d+ \w+/gs, 'TIME');
  return JSON.stringify([status, kept, text]);
}

function report(taken: ReadonlyMap<string, Taken>): boolean {
  console.log(`${SAMPLES} samples of each kind, ${LANES} at once\n`);
  console.log(
    `kind                   median ms     p10     p90   greater       p   ${'distribution'.padEnd(40)}`,
  );
  let failed = false;
  for (const { kind, ms, seen } of taken.values()) {
    const control = kind.like === null ? null : (taken.get(kind.like) ?? null);
    const family = [...taken.values()].filter(
      (other) => (other.kind.like ?? other.kind.name) === (kind.like ?? kind.name),
    );
    const scale = ascending(family.flatMap((other) => other.ms));
    const line = [
      kind.name.padEnd(22),
      ...[median(ms), quantile(ascending(ms), 0.1), quantile(ascending(ms), 0.9)].map((value) =>
        value.toFixed(1).padStart(8),
      ),
    ];
    const drawn = bars(ms, quantile(scale, 0.01), quantile(scale, 0.97));
    if (control === null) {
      console.log(`${line.join('')}                     ${drawn}`);
      continue;
    }
    const { isGreater, p } = compareRanks(ms, control.ms);
    const faults = [
      ...(isShifted(ms, control.ms) ? ['TIME DIFFERS'] : []),
      ...(seen === control.seen ? [] : ['ANSWER DIFFERS']),
    ];
    failed ||= faults.length > 0;
    console.log(
      `${line.join('')}   ${isGreater.toFixed(2).padStart(7)} ${p.toFixed(3).padStart(7)}   ${drawn} ${faults.join(', ')}`,
    );
    if (seen !== control.seen) console.log(`  ${String(control.seen)}\n  ${String(seen)}`);
  }
  return failed;
}

function isShifted(ms: readonly number[], control: readonly number[]): boolean {
  const shift = (from: number, to: number): RankTest => {
    const part = (all: readonly number[]) => all.slice(from * all.length, to * all.length);
    return compareRanks(part(ms), part(control));
  };
  const whole = shift(0, 1);
  const ways = [shift(0, 0.5), shift(0.5, 1)].map(({ isGreater }) => Math.sign(isGreater - 0.5));
  const isOneWay = ways.every((way) => way === Math.sign(whole.isGreater - 0.5));
  return whole.p < MAX_P && Math.abs(whole.isGreater - 0.5) > MIN_SHIFT && isOneWay;
}
