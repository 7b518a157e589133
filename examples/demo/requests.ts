/** Requests that more than one step makes. */
import type { Ask } from './exchange.ts';

export const AUTH = '/api/v1/auth';
export const ADMIN = '/api/v1/admin';

type Device = Pick<Ask, 'device'>;

export const login = (username: string, password: string, more: Device = {}): Ask => ({
  method: 'POST',
  path: `${AUTH}/login`,
  body: { username, password },
  ...more,
});

export const refreshBy = (token: string, more: Device = {}): Ask => ({
  method: 'POST',
  path: `${AUTH}/refresh`,
  body: { refresh_token: token },
  ...more,
});

/** The own account, by an access token or by an API key. */
export const profile = (credential: Pick<Ask, 'token' | 'apiKey' | 'device'> = {}): Ask => ({
  method: 'GET',
  path: `${AUTH}/profile`,
  ...credential,
});

/** What a credential that is over meets. */
export const OVER = {
  status: 401,
  headers: { 'WWW-Authenticate': /^Bearer error="invalid_token"/ },
} as const;
