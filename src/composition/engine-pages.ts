/** The pages of the protocol itself, drawn by our templates. A part of the composition root. */
import { kindOf, showError } from '../http/error-page.ts';
import type { RenderPage } from '../http/views.ts';
import type { EnginePages } from '../oidc/pages.ts';

/** What the engine shows. */
export const createEnginePages = (renderPage: RenderPage): EnginePages => ({
  error: (ctx, { isOver, ...facts }) => {
    const { status } = ctx;
    showError(renderPage, ctx, { ...facts, status, kind: isOver ? 'over' : kindOf(ctx, status) });
  },
  handOn: (ctx, { form, client, targets }) =>
    renderPage(
      ctx,
      'pages/hand-on',
      { form, clientName: client?.name },
      { formAction: targets, sendsItself: true },
    ),
  logout: (ctx, { form, client, redirectUri }) =>
    renderPage(
      ctx,
      'pages/logout',
      { form, clientName: client?.name },
      { formAction: redirectUri === null ? [] : [redirectUri] },
    ),
  loggedOut: (ctx, { client, isSignedIn }) =>
    renderPage(ctx, 'pages/signed-out', { clientName: client?.name, isSignedIn, accountUrl: '/account' }),
  deviceCode: (ctx, { form, userCode, fault }) => {
    if (fault === 'declined') renderPage(ctx, 'pages/device-done', { aborted: true });
    else {
      const errors = fault === null ? {} : { user_code: 'problem.userCode' };
      renderPage(ctx, 'pages/device-code', { form, values: { user_code: userCode }, errors });
    }
  },
  deviceConfirm: (ctx, { form, userCode, client }) =>
    renderPage(ctx, 'pages/device-confirm', { form, userCode, clientName: client.name }),
  deviceDone: (ctx, { client }) => renderPage(ctx, 'pages/device-done', { clientName: client?.name }),
});
