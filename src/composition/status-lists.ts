/**
 * Status lists of VPN JWTs, put together: where the status of a token that is issued stands, and the lists as they are read.
 * A part of the composition root.
 */
import type { Config } from '../config.ts';
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
  const { config, storage, statusListSize: size = LIST_SIZE, now, current } = options;
  const { issuer, vpn } = config;
  const { revocations, tokenStatuses: statuses } = storage;
  const base = `${vpnResourceOf(issuer)}/status`;
  const aggregationUri = vpn.hasStatusLists ? base : null;
  const uriOf = (list: string): string => `${base}/${list}`;
  return {
    place: vpn.hasStatusLists ? createPlaces({ store: statuses, uriOf, size }) : placeNowhere,
    lists: createStatusLists({
      ...{ statuses, issuer, uriOf, aggregationUri, now },
      marks: createStatusMarks({ revocations, statuses, size, now }),
      signer: () => current().signStatusList,
    }),
    aggregationUri,
  };
}
