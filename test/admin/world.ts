/** An installation with administrators, for the tests of what they do. */
import { beforeAll } from '@jest/globals';

import type { AuditRecord } from '../../src/storage/port.ts';
import { createApiClient, enter, login } from '../support/api.ts';
import type { ApiAnswer, ApiCall, ApiClient, SignedIn } from '../support/api.ts';
import { createClient, getToken } from '../support/clients.ts';
import { useTestServer } from '../support/server.ts';
import type { StoreKind, TestServer } from '../support/server.ts';

export const USERS = '/api/v1/admin/users';
const ENV = { RATE_LIMIT_IP: '100000', RATE_LIMIT_USER: '100000', RATE_LIMIT_ADMIN: '100000' };

export interface Person extends SignedIn {
  readonly id: string;
}

export interface AdminWorld {
  readonly server: TestServer;
  readonly api: ApiClient;
  /** Signed in as an administrator, who stays one. */
  readonly admin: Person;
  /** Somebody new, who is signed in; with a role that an administrator gave them. */
  newPerson(role?: string): Promise<Person>;
  /** A token of a client's own. */
  clientToken(scope: string): Promise<string>;
  /** A request as the administrator. */
  call(method: string, path: string, call?: ApiCall): Promise<ApiAnswer>;
  /** The records that have the target, oldest first. */
  recordsOf(target: string): Promise<readonly AuditRecord[]>;
}

/** One world for all the facts of a block. */
export function useAdminWorld(kind: StoreKind): () => AdminWorld {
  const server = useTestServer(kind, ENV);
  let world: AdminWorld | null = null;
  beforeAll(async () => {
    world = await createWorld(server());
  });
  return () => {
    if (world === null) throw new Error('the server is not started');
    return world;
  };
}

async function createWorld(server: TestServer): Promise<AdminWorld> {
  const api = await createApiClient(server);
  const { users, audit } = server.administration;
  const newPerson = async (role?: string): Promise<Person> => {
    const person = await enter(api);
    const { id } = await users.show(person.username);
    if (role === undefined) return { ...person, id };
    await users.update(person.username, { role });
    return { ...(await login(api, person)), id };
  };
  const admin = await newPerson('admin');
  return {
    server,
    api,
    admin,
    newPerson,
    clientToken: async (scope) => getToken(server, await createClient(server, scope), { scope }),
    call: (method, path, call = {}) => api.call(method, path, { token: admin.token, ...call }),
    recordsOf: async (target) => (await audit.list({ limit: 1_000 }, { target }, 'oldest')).items,
  };
}

/** The fields that a Problem names. */
export const pathsOf = ({ body }: ApiAnswer): readonly unknown[] =>
  (body?.['errors'] as readonly { readonly path: string }[] | undefined)?.map(({ path }) => path) ?? [];

export const itemsOf = ({ body }: ApiAnswer): readonly Record<string, unknown>[] =>
  body?.['items'] as readonly Record<string, unknown>[];
