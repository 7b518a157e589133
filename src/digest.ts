/** What the store knows of a value that is not to be read there, such as a token. */
import { hash } from 'node:crypto';

/** SHA-256, base64url: enough for values of 128 random bits and more (ASVS 6.5.2). */
export const digest = (value: string): string => hash('sha256', value, 'base64url');
