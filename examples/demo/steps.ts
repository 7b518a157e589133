/** The steps of the tour, in their order: each uses what came of those before. */
import { lockedOut, wrongPassword } from './steps/guessing.ts';
import { rotateAndDelete, useApiKey } from './steps/keys.ts';
import { forgottenPassword, signOut } from './steps/leaving.ts';
import { administrator, user } from './steps/roles.ts';
import { call, register, signIn, verify } from './steps/entering.ts';
import { refresh, sessions, stolenToken } from './steps/tokens.ts';
import type { Step } from './tour.ts';

export const STEPS: readonly Step[] = [
  register,
  verify,
  signIn,
  call,
  refresh,
  sessions,
  stolenToken,
  wrongPassword,
  lockedOut,
  user,
  administrator,
  useApiKey,
  rotateAndDelete,
  forgottenPassword,
  signOut,
];
