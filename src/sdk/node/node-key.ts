/**
 * The private key of a node, in a file that it alone may read: a JWK (RFC 7517), made here and never sent. A key that the
 * server does not know yet waits beside it, so that no crash leaves the node without the key that the server has.
 */
import { constants, copyFile, link, open, readFile, rename, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';

import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose';
import type { CryptoKey, JWK } from 'jose';

import { VpnClientError } from './errors.ts';

/** What a node may sign by. */
export type NodeAlgorithm = 'ES256' | 'EdDSA' | 'RS256';

const ALGORITHMS: readonly string[] = ['ES256', 'EdDSA', 'RS256'] satisfies readonly NodeAlgorithm[];
const OWNER_ONLY = 0o600;
const PUBLIC_MEMBERS: readonly string[] = ['kty', 'crv', 'x', 'y', 'n', 'e'];

export interface NodeKey {
  readonly alg: NodeAlgorithm;
  /** Its thumbprint (RFC 7638), which is its name at the server. */
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** The key in the file. Rejects with a VpnClientError where there is none, or no private key. */
export async function readNodeKey(file: string): Promise<NodeKey> {
  const key = await findNodeKey(file);
  if (key !== null) return key;
  throw unusable(`${file}: there is no such file. A node gets its key when it enrols.`, null);
}

/** The same; null where there is no file. */
export async function findNodeKey(file: string): Promise<NodeKey | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw unusable(`${file} cannot be read (${codeOf(error)}).`, error);
  }
  try {
    return await toNodeKey(text);
  } catch {
    // Without its cause, which may quote the file.
    throw unusable(`${file} holds no private key as a JWK with its alg, ES256, EdDSA or RS256.`, null);
  }
}

async function toNodeKey(text: string): Promise<NodeKey> {
  const jwk = JSON.parse(text) as JWK; // whatever it is, only a private key is imported as one
  const { alg = '' } = jwk;
  if (!ALGORITHMS.includes(alg)) throw new TypeError('alg');
  const privateKey = await importJWK(jwk, alg);
  if (privateKey instanceof Uint8Array || privateKey.type !== 'private')
    throw new TypeError('no private key');
  const members = Object.entries(jwk).filter(([name]) => PUBLIC_MEMBERS.includes(name));
  const publicJwk = Object.fromEntries(members) as JWK; // the part of one that is public
  return { alg: alg as NodeAlgorithm, kid: await calculateJwkThumbprint(publicJwk), privateKey, publicJwk };
}

/** A key that waits to be known to the server. */
export interface WaitingKey {
  readonly key: NodeKey;
  /** It became the server's: now it is the file's, in the place of `replaces`, or of no file. */
  keep(how: 'new' | 'replace'): Promise<void>;
  /** The server does not want it. One that another attempt left stays: it may have reached the server. */
  discard(): Promise<void>;
  /** It is of an attempt before this one, whose answer is not known. */
  readonly isOld: boolean;
  /** Where it waits. */
  readonly file: string;
}

/** The algorithm that was asked for, and the one of a new key where none was. */
export interface WantedKey {
  readonly algorithm: NodeAlgorithm | undefined;
  readonly otherwise: NodeAlgorithm;
}

/**
 * The key that waits beside the file, or a new one there. Whoever begins at the same time gets the same key. Throws where
 * one waits that is of another algorithm than was asked for: the server may have it.
 */
export async function prepareNodeKey(file: string, { algorithm, otherwise }: WantedKey): Promise<WaitingKey> {
  const waiting = `${file}.next`;
  const found = await findNodeKey(waiting);
  const isOld = found !== null;
  if (!isOld) await writeWhole(waiting, await makeKey(algorithm ?? otherwise));
  const key = found ?? (await readNodeKey(waiting));
  if (algorithm !== undefined && key.alg !== algorithm) throw unusable(waitsAlready(waiting, key.alg), null);
  return {
    key,
    isOld,
    file: waiting,
    keep: async (how) => {
      if (how === 'replace') await moved(waiting, file);
      else await linked(waiting, file);
    },
    discard: async () => {
      if (!isOld) await rm(waiting, { force: true });
    },
  };
}

/** Not to delete it: where the server has it, the key before it brings in no other. */
const waitsAlready = (waiting: string, alg: NodeAlgorithm): string =>
  `${waiting} holds the ${alg} key of an attempt that was cut off, and the server may have it: finish that first, ` +
  'without --alg (`algorithm`), and rotate to the other algorithm then.';

async function makeKey(alg: NodeAlgorithm): Promise<string> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return `${JSON.stringify({ ...(await exportJWK(privateKey)), alg, use: 'sig' })}\n`;
}

/** Writes a new file that nobody ever reads half of; one that came meanwhile stays. */
async function writeWhole(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  try {
    const handle = await open(draft, 'wx', OWNER_ONLY);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await giveName(draft, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw unusable(`${file} cannot be written (${codeOf(error)}).`, error);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Unlike a rename it fails where the name is taken. Not every file system has links: there it is a copy. */
async function giveName(from: string, file: string): Promise<void> {
  try {
    await link(from, file);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw error;
    await copyFile(from, file, constants.COPYFILE_EXCL);
  }
}

/** Throws where the file is there: what authenticates another node must not be lost. */
async function linked(waiting: string, file: string): Promise<void> {
  try {
    await giveName(waiting, file);
  } catch (error) {
    throw unusable(`${file} cannot be written (${codeOf(error)}): the key is in ${waiting}.`, error);
  }
  await rm(waiting, { force: true });
}

/** Where somebody else did it at the same time it is done. */
async function moved(waiting: string, file: string): Promise<void> {
  try {
    await rename(waiting, file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw unusable(`${file} cannot be written (${codeOf(error)}): the key is in ${waiting}.`, error);
  }
}

/** Throws where there is a file: a key is never written over. */
export async function assertNoKey(file: string): Promise<void> {
  if ((await findNodeKey(file)) === null) return;
  throw unusable(
    `${file} is there already and was left as it is: name a new file, or rotate that key.`,
    null,
  );
}

const unusable = (message: string, cause: unknown): VpnClientError =>
  new VpnClientError('ERR_VPN_KEY_UNUSABLE', message, { cause });

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown error';
