/**
 * The pages of the protocol itself: what each has to show, and the engine's hooks for them. Who draws them is
 * injected, so that no page of the engine is ever seen (its own load fonts from another origin, D6).
 */
import type { Context } from 'koa';
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';

import { summarize } from './client-summary.ts';
import type { ClientSummary } from './client-summary.ts';

/** Why a code was not taken: not known (or none given), too old, used before, or declined just now. */
export type DeviceFault = 'unknown' | 'expired' | 'used' | 'declined' | 'failed';

/**
 * `form` is HTML: an empty form with the engine's token, to which the page's own buttons and fields belong by its
 * id.
 */
export interface EnginePages {
  readonly error: (ctx: Context, error: { error: string; description: string | undefined }) => void;
  /** `op.logoutForm`: with `logout=yes` it ends the session; without, only the application's share in it. */
  readonly logout: (
    ctx: Context,
    page: { form: string; client: ClientSummary | null; redirectUri: string | null },
  ) => void;
  readonly loggedOut: (ctx: Context, page: { client: ClientSummary | null }) => void;
  /** `op.deviceInputForm`: asks for the code in the field `user_code`. */
  readonly deviceCode: (
    ctx: Context,
    page: { form: string; userCode: string; fault: DeviceFault | null },
  ) => void;
  /** `op.deviceConfirmForm`: allows; with `abort=yes` it declines. */
  readonly deviceConfirm: (
    ctx: Context,
    page: { form: string; userCode: string; client: ClientSummary; deviceIp: string },
  ) => void;
  readonly deviceDone: (ctx: Context, page: { client: ClientSummary | null }) => void;
}

type Features = NonNullable<Configuration['features']>;

/** RP-initiated logout and the device flow, with our pages. */
export function pageFeatures(pages: EnginePages): Pick<Features, 'rpInitiatedLogout' | 'deviceFlow'> {
  return {
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        const redirectUri = ctx.oidc.session?.state?.['postLogoutRedirectUri'];
        pages.logout(ctx, {
          form,
          client: clientOf(ctx),
          redirectUri: typeof redirectUri === 'string' ? redirectUri : null,
        });
      },
      postLogoutSuccessSource: (ctx) => {
        pages.loggedOut(ctx, { client: clientOf(ctx) });
      },
    },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, _form, _out, error) => {
        const fault = error === undefined ? null : deviceFault(error.name);
        pages.deviceCode(ctx, { form: inputForm(ctx), userCode: typedCode(ctx), fault });
      },
      userCodeConfirmSource: (ctx, form, client, deviceInfo, userCode) => {
        pages.deviceConfirm(ctx, {
          form,
          userCode,
          client: summarize(client),
          deviceIp: String(deviceInfo['ip']),
        });
      },
      successSource: (ctx) => {
        pages.deviceDone(ctx, { client: clientOf(ctx) });
      },
    },
  };
}

/** The engine's own has a field without a label. Its token of this session stands in the session's state. */
const inputForm = ({ oidc }: KoaContextWithOIDC): string =>
  `<form id="op.deviceInputForm" method="post" action="${oidc.urlFor('code_verification')}">` +
  `<input type="hidden" name="xsrf" value="${String(oidc.session?.state?.['secret'])}"></form>`;

const clientOf = ({ oidc: { client } }: KoaContextWithOIDC): ClientSummary | null =>
  client === undefined ? null : summarize(client);

const typedCode = ({ oidc: { params } }: KoaContextWithOIDC): string => {
  const code = params?.['user_code'];
  return typeof code === 'string' ? code.slice(0, 40) : '';
};

function deviceFault(name: string): DeviceFault {
  if (name === 'NoCodeError' || name === 'NotFoundError') return 'unknown';
  if (name === 'ExpiredError') return 'expired';
  if (name === 'AlreadyUsedError') return 'used';
  return name === 'AbortedError' ? 'declined' : 'failed';
}
