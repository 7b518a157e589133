/**
 * Networks as operators write them: an address, a range by CIDR (RFC 4632, RFC 4291 2.3), or a word for those that are
 * well known. Both who checks the setting and who judges a request read them here.
 */
import { BlockList, isIP } from 'node:net';

const WORDS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  // RFC 1918 and RFC 4193: where containers, machines of one network and most load balancers are.
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

interface Range {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** The largest ranges that anybody owns; a larger one would trust strangers, and two of /1 everybody. */
const LEAST_PREFIX = { ipv4: 8, ipv6: 7 } as const;

/** True for what `createNetworks` takes. */
export const isNetwork = (text: string): boolean => rangesOf(text) !== null;

/** Whether an address is in one of the networks; an IPv4 address may be written as IPv6 (`::ffff:192.0.2.1`). */
export function createNetworks(texts: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const { address, prefix, family } of texts.flatMap((text) => rangesOf(text) ?? [])) {
    list.addSubnet(address, prefix, family);
  }
  return (address) => {
    const family = familyOf(address);
    return family !== null && list.check(address, family);
  };
}

function rangesOf(text: string): readonly Range[] | null {
  if (Object.hasOwn(WORDS, text)) return WORDS[text]?.flatMap((range) => rangesOf(range) ?? []) ?? null;
  const [, address = '', digits] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const family = familyOf(address);
  if (family === null) return null;
  const longest = family === 'ipv4' ? 32 : 128;
  const prefix = digits === undefined ? longest : Number(digits);
  return prefix >= LEAST_PREFIX[family] && prefix <= longest ? [{ address, prefix, family }] : null;
}

function familyOf(address: string): Range['family'] | null {
  const version = isIP(address);
  if (version === 0) return null;
  return version === 4 ? 'ipv4' : 'ipv6';
}
