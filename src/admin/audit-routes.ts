/** The audit log, as administrators read it. */
import { z } from 'zod';

import { listOf, pageOf, PageQuery } from '../api/cursor.ts';
import { defineRoute } from '../api/route.ts';
import type { Route } from '../api/route.ts';
import { AUDIT_ACTIONS, AUDIT_ACTORS, AUDIT_KINDS } from '../audit/actions.ts';
import { toAuditView } from '../audit/view.ts';
import { FOR_ADMINISTRATORS } from './options.ts';
import type { AdminApiOptions } from './options.ts';
import { AuditEntry } from './schemas.ts';

const KIND_IDS = AUDIT_KINDS.map((kind) => `${kind}:ID`).join(', ');
const Target = z
  .string()
  .max(300)
  .regex(new RegExp(`^(${AUDIT_KINDS.join('|')}):.`), `expected one of ${KIND_IDS}`);
const Actor = z
  .string()
  .max(300)
  .regex(
    new RegExp(`^((${AUDIT_KINDS.join('|')}):.|(${AUDIT_ACTORS.join('|')})$)`),
    `expected one of ${AUDIT_ACTORS.join(', ')}, ${KIND_IDS}`,
  );
const Instant = z.iso
  .datetime({ offset: true, error: 'a date and time with its zone, such as 2026-01-31T12:00:00Z' })
  .optional();

const AuditQuery = PageQuery.extend({
  actor: Actor.optional().meta({ description: 'Such as `cli`, or `account:ID`.' }),
  action: z.enum(AUDIT_ACTIONS).optional().meta({ description: 'Such as `account.unlock`.' }),
  target: Target.optional().meta({ description: 'Such as `account:ID`.' }),
  from: Instant,
  until: Instant.meta({ description: 'The first instant that is not listed any more.' }),
  order: z
    .enum(['newest', 'oldest'])
    .optional()
    .meta({ description: 'What comes first; the newest by default.' }),
});

const toSeconds = (instant: string | undefined): number | undefined =>
  instant === undefined ? undefined : Math.floor(Date.parse(instant) / 1_000);

export const auditRoutes = ({ listAudit, cursors }: AdminApiOptions): readonly Route[] => [
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'get',
    path: '/api/v1/admin/audit',
    summary: 'List the audit log',
    about: 'Who did what to whom, from where. A change that failed has a second record that says so.',
    permission: 'admin:audit:read',
    query: AuditQuery,
    answers: {
      200: {
        about: 'A page of it.',
        schema: pageOf(AuditEntry),
      },
    },
    handle: async (request) => {
      const { limit, after, ...asked } = request.query;
      const { from, until, order = 'newest', ...filter } = asked;
      const list = listOf('admin/audit', request, asked);
      const times = { from: toSeconds(from), until: toSeconds(until) };
      const page = cursors.read(list, { limit, after });
      const { items, next } = await listAudit(page, { ...filter, ...times }, order);
      return { status: 200, body: { items: items.map(toAuditView), next: cursors.write(list, next) } };
    },
  }),
];
