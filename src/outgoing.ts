/**
 * Requests that this server makes to addresses which others gave it: a client's keys, its back-channel logout. They
 * are where a client could make the server knock at what only the server reaches (SSRF), so there is one way out:
 * https to public addresses, judged by the address that the socket connects to, without redirects, within 2.5 s.
 */
import { lookup as resolve } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { BlockList, isIP } from 'node:net';
import type { LookupFunction } from 'node:net';

// Long enough for a healthy server far away; a slow one holds no more than this of ours.
const TIMEOUT_MS = 2_500;
const MAX_BODY_BYTES = 64 * 1024;

export interface OutgoingRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type OutgoingAnswer =
  | {
      readonly ok: true;
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
    }
  /** `message` says in a sentence why there is no answer. */
  | { readonly ok: false; readonly message: string };

export type Outgoing = (request: OutgoingRequest) => Promise<OutgoingAnswer>;

/** Makes the way out. In development it also leads, over http too, to this machine itself. */
export function createOutgoing({ isDevelopment }: { readonly isDevelopment: boolean }): Outgoing {
  const isAllowed = (address: string): boolean =>
    isPublicAddress(address) || (isDevelopment && isLoopback(address));
  const lookup = createLookup(isAllowed);
  // Agents of its own: that of Node may be told by the environment to use a proxy, and keeps connections.
  const agents = { 'https:': new HttpsAgent(), 'http:': new HttpAgent() };

  return async (request) => {
    const url = URL.parse(request.url);
    if (url === null) return refusal('its address is no URL');
    const { protocol, hostname } = url;
    if (protocol !== 'https:' && !(isDevelopment && protocol === 'http:')) {
      return refusal('its address is not https');
    }
    const literal = hostname.replace(/^\[(.*)\]$/, '$1');
    // An address needs no lookup, so it does not pass by ours.
    if (isIP(literal) !== 0 && !isAllowed(literal)) return refusal(NOT_PUBLIC);
    const { method, headers = {}, body } = request;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const options = {
      method,
      headers: {
        ...headers,
        'User-Agent': 'Portcullis',
        ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
      },
      lookup,
      signal,
    };
    const outgoing =
      protocol === 'https:'
        ? requestHttps(url, { ...options, agent: agents['https:'] })
        : requestHttp(url, { ...options, agent: agents['http:'] });
    outgoing.end(body);
    try {
      return await answerOf(outgoing);
    } catch (error) {
      return refusal(signal.aborted ? TOO_LATE : reasonOf(error));
    } finally {
      outgoing.destroy();
    }
  };
}

const TOO_LATE = `it did not answer within ${TIMEOUT_MS / 1000} s`;
const NOT_PUBLIC = 'its address is not on the public internet';

const refusal = (message: string): OutgoingAnswer => ({ ok: false, message });

async function answerOf(outgoing: ClientRequest): Promise<OutgoingAnswer> {
  const answer = await new Promise<IncomingMessage>((settle, reject) => {
    outgoing.once('response', settle);
    outgoing.on('error', reject); // also after the answer began: nobody else listens then
  });
  const { statusCode: status = 0, headers } = answer;
  if (status >= 300 && status < 400) {
    return refusal(`it answered ${status}, and redirects are not followed`);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return refusal(`its answer is larger than ${MAX_BODY_BYTES / 1024} KiB`);
    chunks.push(chunk);
  }
  return { ok: true, status, headers, body: Buffer.concat(chunks) };
}

function reasonOf(error: unknown): string {
  if (!Error.isError(error)) return 'it cannot be reached';
  if (error.message === NOT_PUBLIC) return NOT_PUBLIC;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return `it cannot be reached (${code})`;
}

/**
 * The lookup of the socket itself: whatever name it is given, it connects to nothing but what passed here, so a
 * name that changes its address between two lookups (DNS rebinding) gains nothing.
 */
const createLookup =
  (isAllowed: (address: string) => boolean): LookupFunction =>
  (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, '');
        return;
      }
      const allowed = found.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (first === undefined) callback(new Error(NOT_PUBLIC), '');
      else if (options.all === true) callback(null, allowed satisfies LookupAddress[]);
      else callback(null, first.address, first.family);
    });
  };

/** IANA's special-purpose registry: what no address on the public internet is. */
const SPECIAL_IPV4 = subnets('ipv4', [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]);

/** What is given out of IPv6; IPv4-mapped, NAT64, local and multicast addresses lie outside. */
const GLOBAL_IPV6 = subnets('ipv6', [['2000::', 3]]);
/** Protocol assignments (Teredo among them), documentation and 6to4, within it. */
const SPECIAL_IPV6 = subnets('ipv6', [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
]);
const LOOPBACK_IPV4 = subnets('ipv4', [['127.0.0.0', 8]]);

function subnets(family: 'ipv4' | 'ipv6', ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, family);
  return list;
}

/** True for a unicast address of the public internet; anything that is no address is none. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !SPECIAL_IPV4.check(address, 'ipv4');
    case 6:
      return GLOBAL_IPV6.check(address, 'ipv6') && !SPECIAL_IPV6.check(address, 'ipv6');
    default:
      return false;
  }
}

const isLoopback = (address: string): boolean =>
  isIP(address) === 4 ? LOOPBACK_IPV4.check(address, 'ipv4') : address === '::1';
