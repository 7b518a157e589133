/**
 * The apply file of administration: what it may hold, and how each item of it is planned and saved by its slice, with
 * the audit record of the change.
 */
import { z } from 'zod';

import type { PlanUser, RolesOf } from '../accounts/declared.ts';
import { UserInput } from '../accounts/schema.ts';
import type { AssertTies } from './administration-ties.ts';
import type { Users } from './administration-users.ts';
import { applySections } from '../apply/apply.ts';
import type { AppliedItem, Section } from '../apply/apply.ts';
import { readDocument } from '../apply/document.ts';
import type { DocumentFault } from '../apply/document.ts';
import { refuseRepeated } from '../apply/repeated.ts';
import type { Recorder } from '../audit/entry.ts';
import type { CustomerAdministration } from '../customers/customers.ts';
import { CustomerInput } from '../customers/schema.ts';
import type { ClientRegistry } from '../clients/registry.ts';
import { ClientInput, VpnNodeInput } from '../clients/schema.ts';
import { foldName } from '../names.ts';
import { ResourceServerInput } from '../resource-servers/registry.ts';
import type { ResourceServerPlan, ResourceServerRegistry } from '../resource-servers/registry.ts';

// What a file may hold; a larger installation is described by several.
const MAX_ITEMS = 10_000;

const ApplyFile = z.strictObject({
  resource_servers: z
    .array(ResourceServerInput)
    .max(MAX_ITEMS)
    .superRefine(refuseRepeated('resource_servers', 'audience', (audience) => audience))
    .default([]),
  clients: z.array(ClientInput).max(MAX_ITEMS).default([]),
  vpn_nodes: z.array(VpnNodeInput).max(MAX_ITEMS).default([]),
  users: z
    .array(UserInput)
    .max(MAX_ITEMS)
    .superRefine(refuseRepeated('users', 'email', foldName))
    .default([]),
  customers: z
    .array(CustomerInput)
    .max(MAX_ITEMS)
    .superRefine((items, context) => {
      const ties = items.map(({ account, client }) => ({
        ...(typeof account === 'string' && { account }),
        ...(typeof client === 'string' && { client }),
      }));
      refuseRepeated('customers', 'account', foldName)(ties, context);
      refuseRepeated('customers', 'client', (id) => id)(ties, context);
    })
    .default([]),
});

export type ApplyOutcome =
  | { readonly ok: true; readonly items: readonly AppliedItem[] }
  | {
      readonly ok: false;
      readonly faults: readonly DocumentFault[];
      /** Saved before a save failed, with their secrets; empty where a fault was found in time. */
      readonly items: readonly AppliedItem[];
    };

/** Makes the store as the file says; with `dryRun` only tells what would change. */
export async function applyFile(
  registries: Registries,
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  dryRun: boolean,
): Promise<ApplyOutcome> {
  const read = readDocument(text, ApplyFile, env);
  if (!read.ok) return { ...read, items: [] };
  const result = await applySections(toSections(read.value, registries), dryRun);
  if (result.ok) return result;
  return { ...result, faults: result.faults.map(({ path, message }) => read.fault(path, message)) };
}

interface Registries {
  readonly clients: ClientRegistry;
  readonly assertTies: AssertTies;
  readonly resourceServers: ResourceServerRegistry;
  readonly users: Users;
  readonly customers: Pick<CustomerAdministration, 'plan'>;
  readonly record: Recorder;
}

/** The file's lists in the order in which they may refer to each other. */
const toSections = (
  file: z.infer<typeof ApplyFile>,
  { clients, assertTies, resourceServers, users, customers, record }: Registries,
): readonly Section[] => [
  {
    name: 'resource_servers',
    items: file.resource_servers.map((input) => ({
      id: input.identifier,
      plan: async () => withoutSecret(recorded(await resourceServers.plan(input), input.identifier, record)),
    })),
  },
  {
    name: 'clients',
    items: file.clients.map((input) => ({
      ...idOf(input),
      plan: async () => {
        await assertTies(input, file);
        return clients.planClient(input);
      },
    })),
  },
  {
    name: 'vpn_nodes',
    items: file.vpn_nodes.map((input) => ({ ...idOf(input), plan: () => clients.planVpnNode(input) })),
  },
  {
    name: 'users',
    items: file.users.map((input) => ({
      id: input.username,
      key: foldName(input.username),
      plan: async () => withoutSecret(await users.planAs(record)(input, declaredWith(file, users.rolesOf))),
    })),
  },
  {
    name: 'customers',
    items: file.customers.map((input) => ({
      id: input.username,
      key: `customer ${input.username.toLowerCase()}`, // it may be called as its account or client is
      plan: async () => withoutSecret(await customers.plan(input, tiesIn(file))),
    })),
  },
];

/** What a user is planned beside: the other users of the file, and the roles of its resource servers. */
const declaredWith = (file: z.infer<typeof ApplyFile>, stored: RolesOf): Parameters<PlanUser>[1] => ({
  together: file.users,
  rolesOf: async (audience) => {
    const declared = file.resource_servers.find((server) => server.audience === audience);
    return declared === undefined ? stored(audience) : Object.keys(declared.roles);
  },
});

/** What a customer may be tied to once the file is applied. */
const tiesIn = (file: z.infer<typeof ApplyFile>): Parameters<CustomerAdministration['plan']>[1] => ({
  accounts: file.users.map(({ username }) => foldName(username)),
  clients: [...file.clients, ...file.vpn_nodes].map(({ client_id: id }) => id),
  customers: file.customers.map(({ username }) => username.toLowerCase()),
});

/** The plan whose saving is recorded first. */
function recorded(plan: ResourceServerPlan, identifier: string, record: Recorder): ResourceServerPlan {
  const { action, before, after, save } = plan;
  if (action === 'none') return plan;
  const change = { action: `resource_server.${action}`, target: `resource-server:${identifier}` };
  return { ...plan, save: () => record({ ...change, details: { before, after } }, save) };
}

/** Ids that differ in upper and lower case only are one. */
const idOf = ({ client_id: id }: { readonly client_id: string }) => ({ id, key: foldName(id) });

/** What a resource server or a person signs in by is given, never made, so there is no secret to show. */
const withoutSecret = <P extends { save(): Promise<unknown> }>(plan: P) => ({
  ...plan,
  save: async () => {
    await plan.save();
    return { secret: null };
  },
});
