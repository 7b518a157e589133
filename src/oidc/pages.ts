/**
 * The pages of the protocol itself: what each has to show, and the engine's hooks for them. Who draws them is
 * injected, so that no page of the engine is ever seen (its own load fonts from another origin, D6).
 */
import type { Context } from 'koa';
import type { Configuration, ErrorOut, KoaContextWithOIDC } from 'oidc-provider';

import { summarize } from './client-summary.ts';
import type { ClientSummary } from './client-summary.ts';

/** Why a code was not taken: not known (or none given), too old, used before, or declined just now. */
export type DeviceFault = 'unknown' | 'expired' | 'used' | 'declined' | 'failed';

/**
 * `form` is HTML: an empty form with the engine's token, to which the page's own buttons and fields belong by its
 * id.
 */
export interface EnginePages {
  /** `isOver`: the sign-in expired, was answered already, or began in another browser. */
  readonly error: (
    ctx: Context,
    error: { error: string; description: string | undefined; isOver: boolean },
  ) => void;
  /** `op.handOnForm`: goes on to the first of `targets`, and from there perhaps to the others. */
  readonly handOn: (
    ctx: Context,
    page: { form: string; client: ClientSummary | null; targets: readonly string[] },
  ) => void;
  /** `op.logoutForm`: with `logout=yes` it ends the session; without, only the application's share in it. */
  readonly logout: (
    ctx: Context,
    page: { form: string; client: ClientSummary | null; redirectUri: string | null },
  ) => void;
  /** `isSignedIn`: the person chose to stay, so only the application's share in the session ended. */
  readonly loggedOut: (ctx: Context, page: { client: ClientSummary | null; isSignedIn: boolean }) => void;
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
      postLogoutSuccessSource: async (ctx) => {
        const { accountId } = await ctx.oidc.provider.Session.get(ctx);
        pages.loggedOut(ctx, { client: clientOf(ctx), isSignedIn: accountId !== undefined });
      },
    },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, _form, out, error) => {
        if (out !== undefined && ctx.oidc.session?.exp === undefined) {
          refuseStaleForm(ctx, out, pages);
          return;
        }
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

/**
 * A form without a session: cookies were cleared, or it ended. The engine would now keep a token for a new form in a
 * session that was never saved, which it cannot.
 */
function refuseStaleForm(ctx: KoaContextWithOIDC, out: ErrorOut, pages: EnginePages): void {
  // Its types leave out what it keeps a session by.
  if (ctx.oidc.session !== undefined) Reflect.set(ctx.oidc.session, 'touched', false);
  pages.error(ctx, { error: out.error, description: out.error_description, isOver: false });
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
