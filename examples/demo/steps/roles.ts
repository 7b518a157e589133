/** What a user may not, and an administrator may. */
import { textAt } from '../expect.ts';
import { ADMIN, AUTH, login } from '../requests.ts';
import { PASSWORD_DOTS } from '../secrets.ts';
import type { Step } from '../tour.ts';

export const user: Step = {
  title: 'Roles: a user',
  about:
    'Each request of the API names the permission that it needs, and a table in the settings says which role has it. ' +
    'Nothing that a person sends changes a role.',
  play: async (tour) => {
    const { accessToken: token } = tour.notes;
    await tour.call(
      { method: 'GET', path: `${ADMIN}/stats`, token },
      { status: 403, so: 'The figures of the installation are not for users.' },
    );
    await tour.call(
      { method: 'PATCH', path: `${AUTH}/profile`, token, body: { role: 'admin' } },
      { status: 400, so: 'And nobody makes an administrator of themselves.' },
    );
  },
};

export const administrator: Step = {
  title: 'Roles: an administrator',
  about:
    'The first administrator is made on the command line, since there is no default password. Here they find the ' +
    'account that was locked, and open it. Each change is in the audit log: who, what, when, from where.',
  play: async (tour) => {
    if (tour.store === null) {
      tour.leaveOut('who is an administrator of this server is not for a tour to say.');
      return;
    }
    const admin = await tour.store.createAdministrator();
    tour.note(
      '$',
      `PORTCULLIS_PASSWORD=${PASSWORD_DOTS} portcullis users create ${admin.username} --email warden@example.com --role admin`,
    );
    const signedIn = await tour.callBriefly(login(admin.username, admin.password), {
      status: 200,
      body: { 'user.role': 'admin' },
      so: 'The administrator signs in, as everybody does.',
    });
    const token = textAt(signedIn.body, 'access_token');
    const { userId: id, username, password } = tour.notes;
    await tour.call(
      { method: 'GET', path: `${ADMIN}/users?status=locked`, token },
      { status: 200, body: { 'items.length': 1, 'items.0.id': id }, so: 'The one who is locked out.' },
    );
    await tour.callBriefly(
      { method: 'POST', path: `${ADMIN}/users/${encodeURIComponent(id)}/unlock`, token },
      { status: 200, body: { username }, so: 'Unlocked.' },
    );
    await tour.callBriefly(login(username, password), {
      status: 200,
      so: 'The right password is right again.',
    });
    await tour.call(
      { method: 'GET', path: `${ADMIN}/audit?action=account.unlock&limit=1`, token },
      {
        status: 200,
        body: { 'items.0.target': `account:${id}` },
        so: 'The record, chained to the one before it.',
      },
    );
  },
};
