/** `fetch` under the host name that the server is known by: the real one sends no Host but that of its address. */
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';

/** Follows no redirect. The body is a text or a form. */
export async function fetchAs(issuer: string, url: string, init: RequestInit = {}): Promise<Response> {
  const { body, method = 'GET' } = init;
  const isForm = body instanceof URLSearchParams;
  const headers = new Headers(init.headers);
  headers.set('Host', new URL(issuer).host);
  if (isForm) headers.set('Content-Type', 'application/x-www-form-urlencoded');
  for (const [name, value] of [
    ['User-Agent', 'node'],
    ['Accept', '*/*'],
  ] as const) {
    if (!headers.has(name)) headers.set(name, value);
  }
  const sent = request(url, { method, headers: Object.fromEntries(headers) });
  sent.end(isForm ? body.toString() : body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]; // as node:http emits it
  return toResponse(answer);
}

async function toResponse(answer: IncomingMessage): Promise<Response> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of answer as AsyncIterable<Uint8Array<ArrayBuffer>>) chunks.push(chunk);
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(answer.headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  const { statusCode: status = 0 } = answer;
  return new Response(status === 204 || status === 304 ? null : new Blob(chunks), { status, headers });
}
