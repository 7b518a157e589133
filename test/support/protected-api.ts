/** People with each role at the protected API, and their tokens, by code + PKCE at the real server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Account } from '../../src/storage/port.ts';
import { findFreePort, ROOT } from '../cli/serve-process.ts';
import { ask, createRelyingParty, redeem } from './relying-party.ts';
import type { RelyingParty } from './relying-party.ts';
import type { StoreKind } from './server.ts';
import { answer, startSignInServer } from './sign-in.ts';
import type { SignInServer } from './sign-in.ts';

export const AUDIENCE = 'protected-api';
export const RESOURCE = 'https://api.example.com';
export const SCOPES = 'api:read api:write';

export interface Caller {
  readonly account: Account;
  readonly token: string;
}

export interface ProtectedApiServer {
  readonly server: SignInServer;
  /** The application that people use the API by. */
  readonly party: RelyingParty;
  /** A new person with the role there, signed in; null for none. */
  signIn(role: string | null, scope?: string): Promise<Caller>;
  /** A token of another sign-in of the same person. */
  tokenFor(account: Account, scope?: string): Promise<string>;
}

/** A server that listens where its issuer says, with all that resources.yaml declares. */
export async function startProtectedApiServer(
  store: StoreKind,
  env: Readonly<Record<string, string>> = {},
): Promise<ProtectedApiServer> {
  const port = String(await findFreePort());
  const server = await startSignInServer(store, { ISSUER: `http://localhost:${port}`, PORT: port, ...env });
  const declared = readFileSync(join(ROOT, 'examples/protected-api/resources.yaml'), 'utf8');
  const applied = await server.administration.apply(declared, {}, false);
  if (!applied.ok) throw new Error(JSON.stringify(applied.faults));
  const party = await createRelyingParty(server, { scope: `openid ${SCOPES}` });
  const tokenFor = async (account: Account, scope = SCOPES): Promise<string> => {
    const asked = await ask(party, { scope: `openid ${scope}`, resource: RESOURCE });
    const { left } = await answer(server.browser(), asked.url.href, { account });
    return (await redeem(party, asked, left, { resource: RESOURCE })).access_token;
  };
  return {
    server,
    party,
    tokenFor,
    signIn: async (role, scope) => {
      const account = await server.createAccount({ roles: role === null ? {} : { [AUDIENCE]: role } });
      return { account, token: await tokenFor(account, scope) };
    },
  };
}
