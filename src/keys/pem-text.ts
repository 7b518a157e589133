/** What a PEM file holds that is not the one private key: a sentence for each, and none that would overwrite a file. */

const PRIVATE_KEYS = /-----BEGIN (?:[A-Z\d]+ )*PRIVATE KEY-----/g;

/** Throws where there is more than one: the first is not more likely to be meant than the others. */
export function assertOnePrivateKey(pem: string, path: string): void {
  const count = pem.match(PRIVATE_KEYS)?.length ?? 0;
  if (count > 1)
    throw new Error(
      `${path}: it holds ${count} private keys, and nobody says which is meant: name a file with one.`,
    );
}

/** Why a text is not read as a private key, and what to do. */
export function unusable(pem: string, path: string): string {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    return (
      'this private key is under a passphrase. Write it to a new file without one, and take that: ' +
      `openssl pkey -in ${shellWord(path)} -out NEW.pem`
    );
  }
  const [, other] = /-----BEGIN (?:[A-Z\d]+ )*(PUBLIC KEY|CERTIFICATE)-----/.exec(pem) ?? [];
  if (other !== undefined && !pem.includes('PRIVATE KEY-----')) {
    return `this is a ${other.toLowerCase()} and no private key, so it cannot sign: take the file of its private key.`;
  }
  return (
    'this is no private key in PEM form. Take another file, or make a key in a new one: ' +
    'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out NEW.pem'
  );
}

/** A word as a shell takes it. */
export const shellWord = (text: string): string =>
  /^[\w./@%+=:,][\w./@%+=:,-]*$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
