/** The bearer token of a request (RFC 6750 2.1): from the Authorization header alone. */
import type { Context } from 'koa';

import { AppError } from '../errors.ts';

const MAX_TOKEN_CHARACTERS = 16 * 1024;
const BEARER = /^Bearer ([\w.~+/-]+=*)$/i;

/** Gives the token; throws `invalid_token` where there is none or it is malformed. */
export function getBearer(ctx: Context): string {
  const header = ctx.get('Authorization');
  const token = header.length > MAX_TOKEN_CHARACTERS ? undefined : BEARER.exec(header)?.[1];
  if (token === undefined) {
    throw new AppError('invalid_token', 'Send the access token as: Authorization: Bearer TOKEN.');
  }
  return token;
}
