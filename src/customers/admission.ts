/** Which gateway may read the feed of customers' tokens: the client that may ask about such a token, too. */
import { AppError } from '../errors.ts';
import type { ClientStore } from '../storage/port.ts';

export interface GatewayAdmissionOptions {
  /** Of customers' tokens: the gateway's client has it as its id. */
  readonly audience: string;
  readonly clients: Pick<ClientStore, 'find'>;
  /** A live access token that a client got for itself. */
  readonly findClientToken: (value: string) => Promise<{ readonly clientId: string } | null>;
}

/** Lets a gateway in; gives its client's id. Throws `invalid_token` and `unauthorized_client`. */
export function createGatewayAdmission({ audience, clients, findClientToken }: GatewayAdmissionOptions) {
  return async (bearer: string): Promise<string> => {
    const token = await findClientToken(bearer);
    if (token === null || (await clients.find(token.clientId)) === null) {
      throw new AppError(
        'invalid_token',
        'The access token is unknown, expired or revoked: get a new one by client_credentials and try again.',
      );
    }
    if (token.clientId === audience) return token.clientId;
    throw new AppError(
      'unauthorized_client',
      `This is for the gateway: the client whose id is the audience of customers' tokens, ${audience}.`,
    );
  };
}
