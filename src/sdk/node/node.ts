/**
 * `portcullis/node`: what a VPN node needs of a Portcullis server. It gets the node's own VPN JWT, or one on behalf of a
 * person, and takes the JWTs of others. It needs jose and Node 20 or newer, reads nothing of the process, and is global in
 * nothing: environment, time and `fetch` are arguments. A node that has a key keeps it in the file that it names.
 */
export { followRevocations } from '../feed/feed.ts';
export type { FollowedRevocations, RevocationFollowerOptions } from '../feed/feed.ts';
export type { OutagePolicy } from '../feed/outage.ts';
export type { Claims } from '../guard/auth.ts';
export { GuardError, isGuardError } from '../guard/errors.ts';
export type { GuardErrorCode } from '../guard/errors.ts';
export type { Fetch } from '../guard/fetch-json.ts';
export type { KoaContext, KoaMiddleware, NodeMiddleware, NodeResponse } from '../guard/middleware.ts';
export { toRefusal } from '../guard/refusal.ts';
export type { Refusal } from '../guard/refusal.ts';
export type { RevocationFeed } from '../guard/revocations.ts';
export type { Caller, CallerRequirements, Roles } from './caller.ts';
export { isVpnClientError, VpnClientError } from './errors.ts';
export type { VpnClientErrorCode } from './errors.ts';
export { createNodeAuthentication } from './authentication.ts';
export type { NodeAuthentication, NodeAuthenticationOptions, NodeCredential } from './authentication.ts';
export { enrol, rotateKey } from './enrol.ts';
export type { EnrolOptions, NodeKeys, RotateKeyOptions } from './enrol.ts';
export type { NodeAlgorithm } from './node-key.ts';
export { createJwtService } from './jwt-service.ts';
export type { HeldToken, JwtService, JwtServiceOptions } from './jwt-service.ts';
export { createVpnMiddleware } from './middleware.ts';
export type { Admitted, VpnMiddleware, VpnMiddlewareOptions } from './middleware.ts';
export { createOAuth2Client } from './oauth2-client.ts';
export type { OAuth2Client, OAuth2ClientOptions, OnBehalf } from './oauth2-client.ts';
export { readNodeSettings } from './settings.ts';
export type { Environment, NodeSettings } from './settings.ts';
export { createTestTokens } from './test-tokens.ts';
export type { TestPerson, TestTokenOptions, TestTokens } from './test-tokens.ts';
export { createTokenValidator } from './token-validator.ts';
export type { TokenValidator, TokenValidatorOptions } from './token-validator.ts';
