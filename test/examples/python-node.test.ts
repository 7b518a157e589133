/** examples/python-node at the real server, by Django's own server on loopback. */
import { expect, test } from '@jest/globals';
import { join } from 'node:path';

import { makeFolder, ROOT, start } from '../cli/serve-process.ts';
import { json } from '../support/clients.ts';
import { describeOtherNode, describeShown } from '../support/other-node.ts';
import type { Launch } from '../support/other-node.ts';
import { preparePython } from '../support/other-languages.ts';

const FOLDER = join(ROOT, 'examples/python-node');
const found = preparePython(join(FOLDER, 'requirements.txt'));

/** No compiled files beside the sources. */
const QUIET = { PYTHONDONTWRITEBYTECODE: '1', PYTHONWARNINGS: 'error::SyntaxWarning' };
const database = join(makeFolder(), 'node.sqlite3');

const run = (program: string, argv: readonly string[], env: Readonly<Record<string, string>>) =>
  start(program, argv, { cwd: FOLDER, env: { ...QUIET, NODE_DATABASE: database, ...env } });

const launch: Launch = async (program, port, env) => {
  const migrated = await run(program, ['manage.py', 'migrate', '--verbosity=0'], env).ended;
  expect(migrated).toEqual({ code: 0, out: '', err: '' });
  return run(program, ['manage.py', 'runserver', '--noreload', `127.0.0.1:${port}`], env);
};

describeOtherNode('examples/python-node', found, launch, (it, program) => {
  test('has migrations that are those of its models', async () => {
    const argv = ['manage.py', 'makemigrations', '--check', '--dry-run'];
    expect(await run(program, argv, it().env).ended).toMatchObject({ code: 0 });
  });

  test('keeps keys and its JWT for as long as it should', async () => {
    const ended = await run(program, ['-m', 'unittest', 'portcullis_node.tests'], {}).ended;
    expect([ended.code, ended.err]).toEqual([0, expect.stringMatching(/^Ran 2 tests in/m)]);
  });

  test('takes nobody for a local account of the same name, and keeps out whom its administrators disable', async () => {
    const { server, env, alice, call, jwtOf } = it();
    const [known, other] = [await server.createAccount(), await server.createAccount()];
    const [token, taken] = [await jwtOf(known), await jwtOf(other)];
    expect((await call('/whoami/', token)).status).toBe(200);
    const script = [
      'from django.contrib.auth.models import User',
      `User.objects.create_superuser('${other.username}', password='of this node alone')`,
      `User.objects.filter(username='${known.username}').update(is_active=False)`,
      `print(*User.objects.values_list('email', 'is_staff', 'is_superuser').get(username='${alice.username}'))`,
    ];
    const shell = ['manage.py', 'shell', '--no-imports', '-c', script.join('\n')];
    const administered = await run(program, shell, env).ended;
    expect(administered).toEqual({ code: 0, out: `${alice.email} True False\n`, err: '' });
    const answers = [await call('/whoami/', taken), await call('/whoami/', token)];
    const details = answers.map(async (answer) => [answer.status, (await json(answer))['detail']]);
    expect(await Promise.all(details)).toEqual([
      [403, 'Another account of this node has your username.'],
      [403, 'Your account at this node is disabled.'],
    ]);
  });

  test('shows its own JWT on the command line, or what is wrong', async () => {
    const { env, client } = it();
    const module = ['-m', 'portcullis_node'];
    const shown = await run(program, module, env).ended;
    expect(JSON.parse(shown.out)).toMatchObject({ sub: client.id, role: 'node' });
    const wrong = { ...env, PORTBRO_CLIENT_SECRET: 'wrong' };
    expect(await run(program, module, wrong).ended).toMatchObject({
      ...{ code: 1, out: '', err: expect.stringMatching(/refuses the node: invalid_client/) },
    });
    expect(await run(program, module, { PORTBRO_CLIENT_ID: 'x', PARENT_ISSUER: '' }).ended).toMatchObject({
      code: 1,
      err: 'PORTBRO_CLIENT_SECRET is not set: the node needs it.\nPARENT_ISSUER is not set: the node needs it.\n',
    });
    const inTheClear = { ...env, PARENT_ISSUER: 'http://id.example.com', PORTBRO_TOKEN_URL: '/token' };
    expect((await run(program, module, inTheClear).ended).err).toMatch(
      /^PARENT_ISSUER is no address .*\nPORTBRO_TOKEN_URL is .*\nPORTBRO_VPN_AUTH_URL is /,
    );
  });
});

describeShown('python-node', 'py');
