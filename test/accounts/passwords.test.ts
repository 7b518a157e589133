/** Hashing: what is checked, what it costs at most, and what happens to who comes when too many wait. */
import { describe, expect, test } from '@jest/globals';

import bcrypt from 'bcryptjs';
import fc from 'fast-check';

import { createBoundedWork } from '../../src/accounts/bounded-work.ts';
import { createPasswordHasher, isKnownHash } from '../../src/accounts/passwords.ts';

const hasher = createPasswordHasher({});
const RIGHT = { isRight: true, isOutdated: true, waitedMs: expect.any(Number) };
const WRONG = { isRight: false, isOutdated: false, waitedMs: expect.any(Number) };

describe('a password hash', () => {
  test('is argon2id of 19 MiB, two passes and one lane, salted anew each time', async () => {
    const [one, other] = await Promise.all([hasher.hash('Grüße an Ada'), hasher.hash('Grüße an Ada')]);
    expect(one).toMatch(/^\$argon2id\$v=19\$/);
    expect(one).toContain('m=19456');
    expect(one).toContain('t=2');
    expect(one).toContain('p=1');
    expect(one).not.toBe(other);
    expect(await hasher.verify('Grüße an Ada', one)).toMatchObject({ isRight: true, isOutdated: false });
    expect(await hasher.verify('grüße an Ada', one)).toEqual(WRONG);
    expect(await hasher.verify('Grüße an Ada ', one)).toEqual(WRONG);
  });

  test('is of the password in NFC, however it was typed', async () => {
    const hash = await hasher.hash('Grüße an Ada'.normalize('NFD'));
    expect((await hasher.verify('Grüße an Ada'.normalize('NFC'), hash)).isRight).toBe(true);
    expect((await hasher.verify('Grüße an Ada'.normalize('NFD'), hash)).isRight).toBe(true);
  });

  test('tells two passwords apart that differ behind a NUL or in their last of 256 characters', async () => {
    expect((await hasher.verify('same\0other', await hasher.hash('same\0one'))).isRight).toBe(false);
    const hash = await hasher.hash(`${'😀'.repeat(255)}a`);
    expect((await hasher.verify(`${'😀'.repeat(255)}a`, hash)).isRight).toBe(true);
    expect((await hasher.verify(`${'😀'.repeat(255)}b`, hash)).isRight).toBe(false);
  });

  test.each(['a'.repeat(257), '😀'.repeat(257), 'a'.repeat(10_000_000)])(
    'is not computed of more than 256 characters',
    async (password) => {
      const refusal = { code: 'invalid_request', errors: [{ path: 'password' }] };
      await expect(hasher.hash(password)).rejects.toMatchObject(refusal);
      await expect(hasher.verify(password, null)).rejects.toMatchObject(refusal);
    },
  );

  test('that is not there is never matched, and costs what one costs that is', async () => {
    const hash = await hasher.hash('Grüße an Ada');
    const timeOf = async (stored: string | null): Promise<number> => {
      // Work, not time: a busy machine may take the processor away from one and not from the other.
      const start = process.cpuUsage();
      expect(await hasher.verify('wrong', stored)).toEqual(WRONG);
      return process.cpuUsage(start).user;
    };
    const times = { known: [] as number[], unknown: [] as number[] };
    for (let round = 0; round < 15; round += 1) {
      times.known.push(await timeOf(hash));
      times.unknown.push(await timeOf(null));
    }
    const median = (values: number[]): number => values.toSorted((a, b) => a - b)[7] ?? 0;
    expect(median(times.unknown) / median(times.known)).toBeGreaterThan(0.6);
    expect(median(times.unknown) / median(times.known)).toBeLessThan(1.7);
  });

  test('of no known format is a broken record, not a wrong password', async () => {
    await expect(hasher.verify('password', 'md5$x')).rejects.toThrow('no known format');
  });
});

/** As Django, passlib, crypt(3), bcryptjs and PHP write them. */
const FOREIGN: readonly (readonly [string, string, string])[] = [
  [
    'PBKDF2 (Django)',
    'Grüße an Ada',
    'pbkdf2_sha256$1000$seasalt$IcUYreaoPz8VnxXg21dK8/NXVvf1Jg1XhHdlaL5UpAE=',
  ],
  [
    'scrypt',
    'Grüße an Ada',
    '$scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$6NBlCiv3aMVrmxPUVaCtpl+CuP6wk3awZKsQaKGKpK0',
  ],
  ['bcrypt $2y$', 'Grüße an Ada', '$2y$05$BCryptRequires22ChrcteG/7T.sQ7n.GTh5.IvdIrebDoiz426eO'],
  ['bcrypt $2b$', 'Grüße an Ada', bcrypt.hashSync('Grüße an Ada', 4)],
  ['bcrypt $2a$', 'Grüße an Ada', bcrypt.hashSync('Grüße an Ada', 4).replace('$2b$', '$2a$')],
  [
    'argon2i',
    'rasmuslerdorf',
    '$argon2i$v=19$m=1024,t=2,p=2$YzJBSzV4TUhkMzc3d3laeg$zqU/1IN0/AogfP4cmSJI1vc8lpXRW9/S0sYY2i2jHT0',
  ],
];

describe('the hash of another system', () => {
  test.each(FOREIGN)('is checked, and is to be made anew: %s', async (_name, password, hash) => {
    expect(isKnownHash(hash)).toBe(true);
    expect(await hasher.verify(password, hash)).toEqual(RIGHT);
    expect(await hasher.verify(`${password}!`, hash)).toEqual(WRONG);
  });

  const SALT = 'YzJBSzV4TUhkMzc3d3laeg';
  const HASH = 'zqU/1IN0/AogfP4cmSJI1vc8lpXRW9/S0sYY2i2jHT0';
  test.each([
    `$argon2id$v=19$m=262145,t=2,p=1$${SALT}$${HASH}`,
    `$argon2id$v=19$m=19456,t=11,p=1$${SALT}$${HASH}`,
    `$argon2id$v=19$m=19456,t=2,p=9$${SALT}$${HASH}`,
    `$argon2id$v=19$m=7,t=2,p=1$${SALT}$${HASH}`,
    `$argon2id$v=19$m=19456,t=0,p=1$${SALT}$${HASH}`,
    `$argon2id$v=19$m=19456,m=19456,t=2$${SALT}$${HASH}`,
    `$argon2id$v=19$m=19456,t=2,p=1$${SALT}$AAAA`,
    `$argon2id$v=19$m=19456,t=2,p=1,data=AAAA$${SALT}$${HASH}`,
    `$argon2id$v=19$m=19456,t=2,p=1$${'_'.repeat(22)}$${HASH}`,
    `$2b$15$${'a'.repeat(53)}`,
    `$2b$03$${'a'.repeat(53)}`,
    `$2x$10$${'a'.repeat(53)}`,
    `pbkdf2_sha256$2000001$salt$${HASH}`,
    `pbkdf2_sha256$0$salt$${HASH}`,
    `pbkdf2_sha1$1000$salt$${HASH}`,
    `$scrypt$ln=18,r=8,p=1$${SALT}$${HASH}`,
    `$scrypt$ln=99,r=1,p=1$${SALT}$${HASH}`,
    `$scrypt$ln=14,r=8,p=5$${SALT}$${HASH}`,
    `$scrypt$ln=14,r=0,p=1$${SALT}$${HASH}`,
    `$scrypt$ln=0,r=8,p=1$${SALT}$${HASH}`,
    `pbkdf2_sha256$1000$${'s'.repeat(600)}$${HASH}`,
    'password',
    '',
  ])('is refused where it is unknown, weakly bounded or too dear: %s', (hash) => {
    expect(isKnownHash(hash)).toBe(false);
  });

  test('is refused in linear time, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2_000 }), (text) => {
        expect(isKnownHash(text)).toBe(false);
        expect(isKnownHash(`$argon2id$v=19$${text}`)).toBe(false);
      }),
    );
  });
});

describe('the queue of hashes', () => {
  /** Work that ends when it is told to. */
  const gate = () => {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    return { open, opened };
  };

  test('runs so many at once, in the order in which they came, and refuses those beyond the ones that may wait', async () => {
    const work = createBoundedWork({ maxAtOnce: 2, maxWaiting: 3 });
    const { open, opened } = gate();
    const started: number[] = [];
    let atOnce = 0;
    let most = 0;
    const run = (n: number) =>
      work.run(async () => {
        started.push(n);
        atOnce += 1;
        most = Math.max(most, atOnce);
        await opened;
        atOnce -= 1;
        return n;
      });
    const accepted = [0, 1, 2, 3, 4].map(run);
    await expect(run(5)).rejects.toMatchObject({ code: 'overloaded', status: 503, retryAfterSeconds: 2 });
    open();
    expect(await Promise.all(accepted)).toEqual([0, 1, 2, 3, 4]);
    expect(started).toEqual([0, 1, 2, 3, 4]);
    expect(most).toBe(2);
    expect(await run(6)).toBe(6);
  });

  test('gives a place back when its work fails, and when it is released unused, once', async () => {
    const work = createBoundedWork({ maxAtOnce: 1, maxWaiting: 0 });
    await expect(work.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    const place = work.reserve();
    expect(() => work.reserve()).toThrow('Too many people');
    place.release();
    place.release();
    const next = work.reserve();
    expect(() => work.reserve()).toThrow('Too many people');
    expect(await work.run(() => Promise.resolve('done'), next)).toBe('done');
    expect(await work.run(() => Promise.resolve('again'))).toBe('again');
  });

  test('lets no more wait than two seconds of work, by default', async () => {
    const own = createPasswordHasher({ maxAtOnce: 2 });
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => own.verify('x', null)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(130);
  });
});
