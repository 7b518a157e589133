/**
 * Encryption at rest under SECRET_KEY: AES-256-GCM (NIST SP 800-38D) with a key derived by HKDF (RFC 5869).
 * The context (a kid, a resource server's identifier) is authenticated, so that a ciphertext which somebody
 * moved to another row does not open there.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const FORMAT = 'v1';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Sealer {
  seal(plaintext: string, context: string): string;
  /** Throws where the text was sealed under another SECRET_KEY or context, or was changed. */
  open(sealed: string, context: string): string;
}

/** Makes the sealer of one SECRET_KEY. */
export function createSealer(secretKey: string): Sealer {
  const key = Buffer.from(hkdfSync('sha256', secretKey, '', 'portcullis sealer v1', 32));

  return {
    seal: (plaintext, context) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
      const text = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      return `${FORMAT}.${Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url')}`;
    },
    open: (sealed, context) => {
      const [format, encoded] = sealed.split('.');
      if (format !== FORMAT || encoded === undefined) throw new Error(`not sealed in format ${FORMAT}`);
      const bytes = Buffer.from(encoded, 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    },
  };
}
