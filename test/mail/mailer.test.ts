// Mails: what they say, where they go, and what happens when the mail server does not take them.
import { afterEach, describe, expect, test } from '@jest/globals';
import { EventEmitter, once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

import { MAIL_TEMPLATES } from '../../src/mail/compose.ts';
import { createMailer } from '../../src/mail/mailer.ts';
import type { Mail, Mailer, MailerOptions } from '../../src/mail/mailer.ts';
import { makeFolder } from '../config/load.ts';
import { startSmtpServer } from './smtp-server.ts';
import type { Behaviour, SmtpServer } from './smtp-server.ts';

const ISSUER = 'https://auth.example.com';
const LINK = `${ISSUER}/account/reset?token=wJp3-abc_DEF`;
const FROM = 'Example <no-reply@auth.example.com>';
const MAIL: Mail = {
  to: 'alice@example.com',
  locale: 'en',
  template: 'reset-password',
  data: { username: 'alice', link: LINK },
};

interface Told {
  readonly event: 'sent' | 'failed';
  readonly template: string;
  readonly link?: string;
  readonly cause?: string;
}

interface Fixture {
  readonly mailer: Mailer;
  readonly folder: string;
  readonly told: readonly Told[];
  /** Waits until so many mails were sent or given up. */
  settled(count: number): Promise<void>;
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function make(options: Partial<MailerOptions> = {}): Fixture {
  const folder = join(makeFolder(), 'mail');
  const told: Told[] = [];
  const emitter = new EventEmitter();
  const tell = (it: Told): void => {
    told.push(it);
    emitter.emit('told');
  };
  const mailer = createMailer({
    smtpUrl: null,
    folder,
    from: FROM,
    issuer: ISSUER,
    brandName: 'Example',
    events: {
      mailSent: (details) => tell({ event: 'sent', ...details }),
      mailFailed: (details) => tell({ event: 'failed', ...details }),
    },
    isDevelopment: false,
    pausesMs: [1, 1],
    ...options,
  });
  stops.push(() => mailer.close());
  const settled = async (count: number): Promise<void> => {
    while (told.length < count) await once(emitter, 'told');
  };
  return { mailer, folder, told, settled };
}

async function serve(behaviour?: Behaviour): Promise<SmtpServer> {
  const server = await startSmtpServer(behaviour);
  stops.push(() => server.stop());
  return server;
}

/** The only file in a folder of mails. */
function readOnly(folder: string): string {
  const [name = '', ...others] = readdirSync(folder);
  expect(others).toEqual([]);
  return readFileSync(join(folder, name), 'utf8');
}

/** The parts of a message, decoded. */
function partsOf(data: string): string {
  return data
    .replaceAll(/=\n/g, '')
    .replaceAll(/(?:=[0-9A-F]{2})+/g, (hex) => Buffer.from(hex.replaceAll('=', ''), 'hex').toString());
}

describe('without a mail server', () => {
  test('a mail is a file that its owner alone can read, with the link as it is', async () => {
    const { mailer, folder, told, settled } = make({ isDevelopment: true });
    mailer.send(MAIL);
    await settled(1);
    expect(told).toEqual([{ event: 'sent', template: 'reset-password', link: LINK }]);
    const text = readOnly(folder);
    expect(text).toMatch(/^Date: .+\nFrom: Example <no-reply@auth\.example\.com>\nTo: alice@example\.com\n/);
    expect(text).toContain('\nSubject: Choose a new password for Example\n');
    expect(text.slice(text.indexOf('\n\n'))).toBe(
      `

Hello alice,

Somebody, probably you, asked to reset your password. The link works once, for one hour.

Choose a new password:
${LINK}

If it was not you, ignore this mail: your password stays as it is.

--
Example sent this mail by itself, from auth.example.com. Nobody reads answers to it.
`,
    );
    const [name = ''] = readdirSync(folder);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test('the link is told in development only', async () => {
    const { mailer, told, settled } = make();
    mailer.send(MAIL);
    await settled(1);
    expect(told).toEqual([{ event: 'sent', template: 'reset-password' }]);
  });

  test('production without SMTP_URL tells each mail as failed, at the first try', async () => {
    const { mailer, told, settled } = make({ folder: null, pausesMs: [60_000] });
    mailer.send(MAIL);
    await settled(1);
    expect(told).toEqual([
      { event: 'failed', template: 'reset-password', cause: 'SMTP_URL is not set, so no mail can be sent' },
    ]);
  });
});

describe('by SMTP', () => {
  test('a mail arrives with both parts, from the sender that is set', async () => {
    const server = await serve();
    const { mailer, told, settled } = make({ smtpUrl: server.url });
    mailer.send({ ...MAIL, locale: 'de' });
    await settled(1);
    expect(told).toEqual([{ event: 'sent', template: 'reset-password' }]);
    const [received] = server.received;
    expect(received).toMatchObject({ from: '<no-reply@auth.example.com>', to: ['<alice@example.com>'] });
    const data = partsOf(received?.data ?? '');
    expect(data).toMatch(/^Content-Type: multipart\/alternative/m);
    expect(data).toContain('Guten Tag, alice!');
    expect(data).toContain('<html lang="de">');
    // The text has it once; the HTML as a button and as a link that shows itself.
    expect(data.split(LINK).length - 1).toBe(4);
  });

  test('a mail that is refused for now is tried three times', async () => {
    const server = await serve({ onRecipient: (connection) => (connection < 3 ? '451 later' : null) });
    const { mailer, told, settled } = make({ smtpUrl: server.url });
    mailer.send(MAIL);
    await settled(1);
    expect(told).toEqual([{ event: 'sent', template: 'reset-password' }]);
    expect([server.connections(), server.received.length]).toEqual([3, 1]);
  });

  test('after the third try it is told with the words of the mail server', async () => {
    const server = await serve({ onRecipient: () => '451 greylisted' });
    const { mailer, told, settled } = make({ smtpUrl: server.url });
    mailer.send(MAIL);
    await settled(1);
    expect(told).toEqual([
      { event: 'failed', template: 'reset-password', cause: expect.stringContaining('451 greylisted') },
    ]);
    expect(server.connections()).toBe(3);
  });

  test('what is refused for good is not tried again', async () => {
    const server = await serve({ onRecipient: () => '550 no such person' });
    const { mailer, told, settled } = make({ smtpUrl: server.url });
    mailer.send(MAIL);
    await settled(1);
    expect(told[0]?.event).toBe('failed');
    expect(server.connections()).toBe(1);
  });

  test('a server that says nothing costs the time of each try, and the next mails go on beside it', async () => {
    const server = await serve({ isMute: true });
    const { mailer, told, settled } = make({ smtpUrl: server.url, tryMs: 50 });
    for (let i = 0; i < 8; i += 1) mailer.send(MAIL);
    await settled(8);
    expect(new Set(told.map(({ cause }) => cause))).toEqual(
      new Set(['the mail server did not take it within 50 ms']),
    );
  });

  test('a password is not sent to another machine where STARTTLS is missing', async () => {
    const server = await serve();
    // It reaches this machine, and is none of the names that count as this machine.
    const smtpUrl = `smtp://user:hunter2@0.0.0.0:${server.port}`;
    const { mailer, told, settled } = make({ smtpUrl });
    mailer.send(MAIL);
    await settled(1);
    expect(told[0]?.event).toBe('failed');
    expect(server.commands).toContain('STARTTLS');
    expect(server.commands.filter((line) => /^(AUTH|MAIL)/.test(line))).toEqual([]);
    expect(JSON.stringify(told)).not.toContain('hunter2');
  });
});

describe('the queue', () => {
  test('is never waited for: sending is over before anything was done', async () => {
    const server = await serve({ isMute: true });
    const { mailer, told } = make({ smtpUrl: server.url, tryMs: 100 });
    for (let i = 0; i < 100; i += 1) mailer.send(MAIL);
    expect([told, server.connections()]).toEqual([[], 0]);
  });

  test('is bounded, and what does not fit is told', async () => {
    const server = await serve({ isMute: true });
    const { mailer, told } = make({ smtpUrl: server.url });
    for (let i = 0; i < 600; i += 1) mailer.send(MAIL);
    expect(told).toHaveLength(100);
    expect(told[0]).toMatchObject({ event: 'failed', cause: 'too many mails are waiting' });
  });

  test('is emptied at a stop', async () => {
    const server = await serve();
    const { mailer, told } = make({ smtpUrl: server.url });
    // Four are under way at once, so two wait; more may not be done within the time of a stop on a busy machine.
    for (let i = 0; i < 6; i += 1) mailer.send(MAIL);
    await mailer.close();
    expect(told.map(({ event }) => event)).toEqual(Array.from({ length: 6 }, () => 'sent'));
    expect(server.received).toHaveLength(6);
    mailer.send(MAIL);
    expect(told.at(-1)).toMatchObject({ event: 'failed', cause: 'the server stopped before it was sent' });
  });

  test('holds a stop up for 2 s at most, and tells what was left', async () => {
    const server = await serve({ isMute: true });
    const { mailer, told } = make({ smtpUrl: server.url });
    for (let i = 0; i < 10; i += 1) mailer.send(MAIL);
    const start = performance.now();
    await mailer.close();
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(told.map(({ cause }) => cause)).toEqual(
      Array.from({ length: 10 }, () => 'the server stopped before it was sent'),
    );
  });
});

describe('what a mail says', () => {
  test.each(MAIL_TEMPLATES)('%s is complete in both languages', async (template) => {
    for (const locale of ['en', 'de'] as const) {
      const { mailer, folder, settled } = make();
      const data = {
        ...MAIL.data,
        when: '2026-11-21T06:15:00.000Z',
        device: 'Firefox on Linux',
        ip: '203.0.113.7',
      };
      mailer.send({ ...MAIL, locale, template, data });
      await settled(1);
      const text = readOnly(folder);
      expect(text).toContain(
        locale === 'en' ? 'When: 21 Nov 2026, 06:15 UTC' : 'Zeitpunkt: 21. Nov. 2026, 06:15 UTC',
      );
      expect(text).toMatch(/(Device|Gerät): Firefox on Linux\n(Address|IP-Adresse): 203\.0\.113\.7\n/);
      expect(text).not.toMatch(/undefined|null|\{\{|mail\.[a-z]+-/);
    }
  });

  test('whatever a device calls itself stays text, on one line, and short', async () => {
    const server = await serve();
    const { mailer, settled } = make({ smtpUrl: server.url });
    const device = `<a href="https://evil.example">x</a>\r\nBcc: b@evil.example ${'y'.repeat(500)}`;
    mailer.send({ ...MAIL, template: 'new-device', data: { username: 'alice', device } });
    await settled(1);
    const data = partsOf(server.received[0]?.data ?? '');
    const html = data.slice(data.indexOf('<!doctype html>'));
    expect(html).not.toContain('<a href="https://evil');
    expect(html).toContain('&lt;a href=');
    expect(data).not.toMatch(/^Bcc/m);
    expect(data).not.toContain('y'.repeat(121));
  });

  test.each([
    [
      'a link to another server',
      { data: { username: 'alice', link: 'https://auth.example.com.evil.example/' } },
    ],
    ['a link that runs a script', { data: { username: 'alice', link: 'javascript:alert(1)' } }],
    ['two addresses', { to: 'alice@example.com,mallory@example.com' }],
    ['an address with a line break', { to: 'alice@example.com\r\nBcc: m@example.com' }],
    ['a name and an address', { to: 'Alice <alice@example.com>' }],
  ])('%s is never sent', async (_name, change) => {
    const { mailer, folder, told, settled } = make();
    mailer.send({ ...MAIL, ...change });
    await settled(1);
    expect(told).toEqual([
      { event: 'failed', template: MAIL.template, cause: expect.stringContaining('a mail was to') },
    ]);
    expect(() => readdirSync(folder)).toThrow('ENOENT');
  });
});
