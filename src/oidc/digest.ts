/** What the store knows of a token, code or session id: its SHA-256. The value itself is never stored. */
import { hash } from 'node:crypto';

/** SHA-256, base64url: enough for values of 128 random bits and more (ASVS 6.5.2). */
export const digest = (value: string): string => hash('sha256', value, 'base64url');
