/** A request of this program to the engine's token endpoint, without a socket: the engine checks it like any other. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import type { Provider } from 'oidc-provider';

import type { KoaContextWithOIDC } from './engine-middleware.ts';

/** The context of `POST /token` with that form; its status and body are the answer. */
export function createOwnRequest(
  provider: Provider,
  ip: string,
  requestId: string,
  form: Readonly<Record<string, string>>,
): KoaContextWithOIDC {
  const body = Buffer.from(new URLSearchParams(form).toString());
  const message = new IncomingMessage(new Socket());
  message.method = 'POST';
  message.url = '/token';
  message.headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(body.length),
  };
  message.push(body);
  message.push(null);
  const ctx = provider.createContext(message, new ServerResponse(message));
  ctx.request.ip = ip;
  ctx.state['requestId'] = requestId;
  return ctx as unknown as KoaContextWithOIDC; // the engine defines `ctx.oidc` on it
}
