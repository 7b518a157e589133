/**
 * Status lists of VPN JWTs, put together: where the status of a token that is issued stands, and the lists as they are read.
 * A part of the composition root.
 */
import { randomBytes } from 'node:crypto';

import { signingSecretsOf } from '../config.ts';
import type { Config, JwtSecrets } from '../config.ts';
import { createSeal } from '../http/cookies.ts';
import type { Sign } from '../keys/signer.ts';
import { vpnResourceOf } from '../names.ts';
import type { Storage } from '../storage/port.ts';
import { createStatusLists } from '../vpn/status-lists.ts';
import type { StatusLists } from '../vpn/status-lists.ts';
import { createStatusMarks } from '../vpn/status-marks.ts';
import { createPlaces, LIST_SIZE, placeNowhere } from '../vpn/status-places.ts';
import type { Place } from '../vpn/status-places.ts';

interface VpnStatusOptions {
  readonly config: Pick<Config, 'issuer' | 'vpn'>;
  readonly secrets: JwtSecrets;
  readonly storage: Pick<Storage, 'revocations' | 'tokenStatuses'>;
  /** How many places a list has; tests shorten it. */
  readonly statusListSize?: number | undefined;
  readonly now: () => number;
  /** The signer of the present key ring. */
  readonly current: () => { readonly signStatusList: Sign };
}

export interface VpnStatus {
  readonly place: Place;
  /** Also where no places are given any more: what was issued before is still asked for. */
  readonly lists: StatusLists;
  /** Where the lists are listed; null where no places are given. */
  readonly aggregationUri: string | null;
}

export function createVpnStatus(options: VpnStatusOptions): VpnStatus {
  const { config, secrets, storage, statusListSize: size = LIST_SIZE, now, current } = options;
  const { issuer, vpn } = config;
  const { revocations, tokenStatuses: statuses } = storage;
  const base = `${vpnResourceOf(issuer)}/status`;
  const aggregationUri = vpn.hasStatusLists ? base : null;
  const uriOf = (list: string): string => `${base}/${list}`;
  const { newName, isName } = createNames(secrets);
  return {
    place: vpn.hasStatusLists ? createPlaces({ store: statuses, newName, uriOf, size }) : placeNowhere,
    lists: createStatusLists({
      ...{ statuses, issuer, isName, uriOf, aggregationUri, now },
      marks: createStatusMarks({ revocations, statuses, size, now }),
      signer: () => current().signStatusList,
    }),
    aggregationUri,
  };
}

const RANDOM_BYTES = 16;
const RANDOM_CHARACTERS = 22; // as base64url

/** Names of lists prove themselves, so that made-up ones cost no look into the store. */
function createNames(secrets: JwtSecrets) {
  const seal = createSeal(signingSecretsOf(secrets), 'status list');
  return {
    newName: (): string => {
      const random = randomBytes(RANDOM_BYTES).toString('base64url');
      return random + seal.of(random);
    },
    isName: (name: string): boolean =>
      seal.matches(name.slice(0, RANDOM_CHARACTERS), name.slice(RANDOM_CHARACTERS)),
  };
}
