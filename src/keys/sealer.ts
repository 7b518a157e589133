/**
 * Encryption at rest under SECRET_KEY: AES-256-GCM (NIST SP 800-38D) with a key derived by HKDF (RFC 5869). What is
 * sealed says which SECRET_KEY it needs, so that a new one can take over while the one before it still opens. The
 * context (a kid, a resource server's identifier) is authenticated, so that a ciphertext which somebody moved to
 * another row does not open there.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const FORMAT = 'v2';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
// It tells the two keys of an operator apart; it protects nothing.
const KEY_ID_BYTES = 4;

export interface Sealer {
  /** Under the current key. */
  seal(plaintext: string, context: string): string;
  /** Throws where the text was sealed under neither key, under another context, or was changed. */
  open(sealed: string, context: string): string;
  /** True where a text says that it needs the previous key. */
  needsPrevious(sealed: string): boolean;
}

/** Makes the sealer of a SECRET_KEY and, where there is one, of that before it. */
export function createSealer(secretKey: string, previousSecretKey: string | null = null): Sealer {
  const current = deriveKey(secretKey);
  const previous = previousSecretKey === null ? null : deriveKey(previousSecretKey);

  return {
    seal: (plaintext, context) => `${FORMAT}.${current.id}.${encrypt(plaintext, context, current.key)}`,
    open: (sealed, context) => {
      const { keyId, encoded } = parse(sealed);
      const opening = [current, previous].find((key) => key?.id === keyId) ?? null;
      if (opening === null) throw new Error('sealed under another SECRET_KEY, or in another format');
      return decrypt(encoded, context, opening.key);
    },
    needsPrevious: (sealed) => previous !== null && parse(sealed).keyId === previous.id,
  };
}

interface DerivedKey {
  readonly id: string;
  readonly key: Buffer;
}

function deriveKey(secretKey: string): DerivedKey {
  const derive = (purpose: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secretKey, '', purpose, bytes));
  return {
    id: derive('portcullis sealer key id', KEY_ID_BYTES).toString('base64url'),
    key: derive('portcullis sealer', 32),
  };
}

/** The parts of a sealed text; of any other text the id is null, which is no key's. */
function parse(sealed: string): { readonly keyId: string | null; readonly encoded: string } {
  const [format, keyId = '', encoded = ''] = sealed.split('.');
  return { keyId: format === FORMAT ? keyId : null, encoded };
}

function encrypt(plaintext: string, context: string, key: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const text = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url');
}

function decrypt(encoded: string, context: string, key: Buffer): string {
  const bytes = Buffer.from(encoded, 'base64url');
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-TAG_BYTES));
  const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
  return Buffer.concat([text, decipher.final()]).toString('utf8');
}
