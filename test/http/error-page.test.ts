/** The pages for what went wrong, as the real server sends them: in the reader's language, with a way on. */
import { expect, test } from '@jest/globals';

import { describeOnBothStores, useTestServer } from '../support/server.ts';

const GERMAN = { accept: 'text/html', 'accept-language': 'de' };
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

describeOnBothStores('an error page', (store) => {
  const server = useTestServer(store);

  test.each([
    ['nothing at an address', '/nowhere', 404, 'Diese Seite gibt es nicht'],
    ['a client that nobody knows', '/authorize?client_id=nobody', 400, 'Die Anwendung hat um etwas gebeten'],
    ['what only programs ask', '/token', 405, 'Diese Adresse ist für Programme'],
    ['a page that takes forms only', '/account/delete', 405, 'Diese Seite gibt es nicht'],
    [
      'a logout that an application asks wrongly',
      '/logout?id_token_hint=foo',
      400,
      'Die Anwendung hat um etwas',
    ],
    ['a sign-in of another browser', `/authorize/${'x'.repeat(21)}`, 400, 'Diese Anmeldung ist vorbei'],
  ])(
    'tells of %s in the reader’s language, and in English for whoever helps',
    async (_name, path, status, title) => {
      const answer = await server().request(path, { headers: GERMAN });
      const html = await answer.text();
      expect(answer.status).toBe(status);
      expect(html).toContain('<html lang="de">');
      expect(html).toContain(`<h1>${title}`);
      expect(html).toMatch(/<dd lang="en">[^<]+<\/dd>/);
      expect(html).toContain(answer.headers.get('x-request-id') ?? 'no number');
      expect(html).toContain('<a href="/account">Zu Ihrem Konto</a>');
    },
  );

  test('answers a form of a person, and never a program', async () => {
    const send = (path: string) =>
      server().request(path, { method: 'POST', headers: { ...GERMAN, ...FORM }, body: 'csrf=none' });
    const form = await send('/account/sign-in');
    expect(form.status).toBe(403);
    expect(await form.text()).toContain('<h1>Dieses Formular gilt nicht mehr</h1>');
    const device = await send('/device');
    expect(device.status).toBe(400);
    expect(await device.text()).toContain('<h1>Dieses Formular gilt nicht mehr</h1>');
    expect((await send('/token')).headers.get('content-type')).toContain('application/json');
  });
});
