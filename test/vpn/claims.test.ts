/** The claims of VPN JWTs, for all accounts and all tables of roles: a role comes from the table, or is the least. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createVpnClaims } from '../../src/vpn/claims.ts';

const NOW = 1_800_000_000;
const AUDIENCE = 'vpn-node';
const settings = (roles: Readonly<Record<string, number>>) => ({
  ...{ issuer: 'https://auth.example.com', audience: AUDIENCE, lifetimeSeconds: 600 },
  ...{ roles, now: () => NOW },
});

const role = fc.oneof(
  fc.constantFrom('basic', 'manager', 'admin', '__proto__', 'constructor', 'toString', ''),
  fc.string(),
);
const table = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_-]{0,9}$/), fc.integer({ min: 1, max: 1_000 }), {
  minKeys: 1,
  maxKeys: 32,
});
const account = fc.record({
  username: fc.string({ minLength: 1 }),
  email: fc.emailAddress(),
  roles: fc.dictionary(fc.constantFrom(AUDIENCE, 'portcullis', 'other'), role),
});

describe('the claims of a person', () => {
  test('have the role that is held where the table knows it, the least one otherwise, and its level', () => {
    fc.assert(
      fc.property(table, account, (roles, person) => {
        const claims = createVpnClaims(settings(roles)).ofPerson('node', person);
        const held = person.roles[AUDIENCE];
        const isKnown = held !== undefined && Object.hasOwn(roles, held);
        expect(Object.keys(roles)).toContain(claims.role);
        expect(claims.level).toBe(roles[claims.role]);
        if (isKnown) expect(claims.role).toBe(held);
        else expect(claims.level).toBe(Math.min(...Object.values(roles)));
      }),
    );
  });

  test('are those of the account and the node, and nothing more', () => {
    fc.assert(
      fc.property(account, fc.string({ minLength: 1 }), (person, clientId) => {
        const {
          jti,
          role: _role,
          level: _level,
          ...claims
        } = createVpnClaims(settings({ basic: 10 })).ofPerson(clientId, person);
        expect(jti).toMatch(/^[\w-]{36}$/);
        expect(claims).toEqual({
          ...{ iss: 'https://auth.example.com', aud: AUDIENCE, scope: 'read', iat: NOW, exp: NOW + 600 },
          ...{ sub: person.username, username: person.username, email: person.email },
          ...{ client_id: clientId, act: { sub: clientId } },
        });
      }),
    );
  });
});

test('the claims of a node have no address, no level and nobody who acts for it', () => {
  const { jti: _jti, ...claims } = createVpnClaims(settings({ basic: 10 })).ofNode('node-berlin');
  expect(claims).toEqual({
    ...{ iss: 'https://auth.example.com', aud: AUDIENCE, scope: 'read', iat: NOW, exp: NOW + 600 },
    ...{ sub: 'node-berlin', username: 'node-berlin', client_id: 'node-berlin', role: 'node', level: 0 },
  });
});
