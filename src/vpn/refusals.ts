/** Who asks for something of a VPN node, and how a refusal is told to the log and the counts. */
import { isAppError } from '../errors.ts';

export interface Asking {
  readonly requestId: string;
  readonly ip: string;
}

export interface Refusal extends Asking {
  /** Undefined where nobody was recognized. */
  readonly clientId: string | undefined;
  /** The code of the error. */
  readonly reason: string;
}

/** Makes what does some work; a refusal is told, and thrown on. */
export const tellingRefusals =
  (tell: (refusal: Refusal) => void) =>
  async <T>({ requestId, ip }: Asking, clientId: string | undefined, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (isAppError(error) && error.status < 500) tell({ requestId, ip, clientId, reason: error.code });
      throw error;
    }
  };
