/** Which addresses may be asked for keys, tokens and answers. */

/** Throws a TypeError for what comes in the clear, which can be anybody's. Loopback is this machine. */
export function assertSecure({ protocol, hostname, href }: URL): void {
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback)) {
    throw new TypeError(`${href}: use https, or http on loopback`);
  }
}
