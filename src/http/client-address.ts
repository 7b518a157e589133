/**
 * The address of the client behind trusted proxies. X-Forwarded-For is a list to which each proxy adds the address that
 * it was asked from; what stands further left was written by somebody further away, in the end by the client itself. So
 * it is read from the right, for as long as the address before was that of a trusted proxy.
 */
import { isIP } from 'node:net';

import type Koa from 'koa';

import { createNetworks } from '../networks.ts';

/** How many proxies stand before this server, or their networks. */
export type TrustedProxies = number | readonly string[];

export type ClientAddressOf = (peer: string, forwardedFor: string) => string;

/** Makes the rule; `peer` is the address of the socket, `forwardedFor` the header, empty where there is none. */
export function createClientAddressOf(trusted: TrustedProxies): ClientAddressOf {
  const isTrusted = trustOf(trusted);
  return (peer, forwardedFor) => {
    let address = bare(peer);
    if (forwardedFor === '') return address;
    let hops = 0;
    for (const entry of forwardedFor.split(',').reverse()) {
      if (!isTrusted(address, hops)) return address;
      const next = bare(entry.trim());
      if (isIP(next) === 0) return address; // "unknown", or nothing: whoever wrote it is as far as we see
      address = next;
      hops += 1;
    }
    return address;
  };
}

function trustOf(trusted: TrustedProxies): (address: string, hops: number) => boolean {
  return typeof trusted === 'number' ? (_address, hops) => hops < trusted : createNetworks(trusted);
}

/** Without what proxies and sockets write around an address: a port, brackets, a zone, IPv6 around IPv4. */
function bare(text: string): string {
  if (!/[:%]/.test(text)) return text;
  const [, bracketed, dotted] = /^(?:\[([^\]]+)\](?::\d+)?|(\d+(?:\.\d+){3}):\d+)$/.exec(text) ?? [];
  const [address = ''] = (bracketed ?? dotted ?? text).split('%', 1);
  const [, mapped = address] = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address) ?? [];
  return mapped;
}

const ADDRESS = Symbol('address');

interface Addressed extends Koa.Request {
  [ADDRESS]: string | undefined;
}

/** Makes `ctx.ip` that address, in every context of the application. Koa's own takes whatever the client writes (D4). */
export function pinClientAddress(app: Koa, trusted: TrustedProxies): void {
  const addressOf = createClientAddressOf(trusted);
  Object.defineProperty(app.request, 'ip', {
    get(this: Addressed) {
      return (this[ADDRESS] ??= addressOf(this.socket.remoteAddress ?? '', this.get('X-Forwarded-For')));
    },
    set(this: Addressed, ip: string) {
      this[ADDRESS] = ip;
    },
  });
}
