/** examples/vpn-node at a real server, with three people and tokens for tests, and what programs and browsers send it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { startVpnNode } from '../../examples/vpn-node/server.ts';
import type { VpnNode, VpnNodeOptions } from '../../examples/vpn-node/server.ts';
import { createTestTokens, readNodeSettings } from '../../src/sdk/node/node.ts';
import type { NodeSettings } from '../../src/sdk/node/node.ts';
import { findFreePort, ROOT } from '../cli/serve-process.ts';
import { startTestServer } from './server.ts';
import type { TestServer } from './server.ts';

export const SECRET = 'a-secret-that-only-this-test-knows-0123456789';
export const PASSWORD = 'three people, one password';
export const TEST_SECRET = 'a secret of 32 bytes, for tests!';
// Argon2 for three people, and processes of their own.
export const TIMEOUT_MS = 60_000;

/** As resources.yaml declares them: name, role, level, and what that is called. */
export const PEOPLE = [
  ['alice_admin', 'admin', 50, 'Administrator'],
  ['bob_manager', 'manager', 30, 'Manager'],
  ['charlie_user', 'basic', 10, 'Basic'],
] as const;

export interface NodeAtServer {
  readonly server: TestServer;
  readonly settings: NodeSettings;
  /** The node's environment, as an operator sets it. */
  readonly env: Readonly<Record<string, string>>;
  readonly node: VpnNode;
  /** What the terminals of all nodes were told. */
  readonly reported: readonly unknown[];
  /** The usernames that the feed of revocations names. */
  readonly revoked: Set<unknown>;
  /** Another node of the same settings. */
  startNode(options?: Partial<VpnNodeOptions>): Promise<VpnNode>;
  /** A request of a program: by a VPN JWT, or by nothing. */
  call(method: string, path: string, jwt: string | null, body?: unknown): Promise<Response>;
  stop(): Promise<void>;
}

export async function startNodeAtServer(): Promise<NodeAtServer> {
  const [port, nodePort] = [String(await findFreePort()), await findFreePort()];
  const server = await startTestServer('SQLite', { ISSUER: `http://localhost:${port}`, PORT: port });
  const declared = readFileSync(join(ROOT, 'examples/vpn-node/resources.yaml'), 'utf8');
  const applied = await server.administration.apply(
    declared.replace('localhost:8000', `localhost:${nodePort}`),
    { PORTBRO_CLIENT_SECRET: SECRET, EXAMPLE_PASSWORD: PASSWORD },
    false,
  );
  if (!applied.ok) throw new Error(JSON.stringify(applied.faults));
  const env = {
    PORTBRO_CLIENT_ID: 'node-example',
    PORTBRO_CLIENT_SECRET: SECRET,
    PARENT_ISSUER: server.issuer,
  };
  const settings = readNodeSettings({ ...env, NODE_ENV: 'test', VPN_TEST_SECRET: TEST_SECRET });
  const reported: unknown[] = [];
  const revoked = new Set<unknown>();
  const startNode = (options: Partial<VpnNodeOptions> = {}): Promise<VpnNode> =>
    startVpnNode({
      ...{ settings, port: 0, report: (it: unknown) => reported.push(it) },
      revocations: { isRevoked: ({ sub }) => revoked.has(sub) },
      ...options,
    });
  const node = await startNode({ port: nodePort });
  return {
    ...{ server, settings, env, node, reported, revoked, startNode },
    call: (method, path, jwt, body) =>
      fetch(node.origin + path, {
        method,
        headers: {
          ...(jwt !== null && { authorization: `Bearer ${jwt}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    stop: async () => {
      await node.close();
      await server.stop();
    },
  };
}

const tokens = createTestTokens({ secret: TEST_SECRET, environment: 'test' });

/** A test token of somebody of that role. */
export const jwtOf = (role: string, username = `some_${role}`): Promise<string> =>
  tokens.make({ username, email: `${username}@example.com`, role });

/** A browser's cookies and forms at a node, without the browser. */
export function createNodeVisitor(origin: string) {
  const jar = new Map<string, string>();
  const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { accept: 'text/html', cookie, ...(init.headers as Record<string, string> | undefined) };
    const answer = await fetch(new URL(path, origin), { redirect: 'manual', ...init, headers });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return answer;
  };
  const csrf = async (path = '/auth/login/'): Promise<string> =>
    /name="csrf" value="([^"]+)"/.exec(await (await send(path)).text())?.[1] ?? '';
  const post = (path: string, fields: Readonly<Record<string, string>>, headers = {}): Promise<Response> =>
    send(path, { method: 'POST', body: new URLSearchParams(fields), headers });
  return { jar, send, csrf, post };
}

export type NodeVisitor = ReturnType<typeof createNodeVisitor>;
