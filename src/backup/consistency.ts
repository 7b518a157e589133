/**
 * Whether the records of a store go together. A fault is a store that contradicts itself. What is left over is none:
 * when a grant or an account ends, what stood under it goes a moment later, and until then it is refused everywhere;
 * a store that is read at that moment has it.
 */
import type { AuditRecord, StoredRecord, StoreName, StoreRecords } from '../storage/port.ts';
import { createIdSet } from './id-set.ts';
import type { IdSet } from './id-set.ts';

const MAX_EXAMPLES = 3;

export interface ConsistencyOptions {
  /** Opens what is sealed under SECRET_KEY, or throws. */
  readonly open: (sealed: string, context: string) => string;
  /** The key of the audit log is sealed under this name. */
  readonly chainKeyName: string;
  /** By that key: checks records in their order, and tells the fault of one. */
  readonly checkChain: (chainKey: string) => (record: AuditRecord) => string | null;
  readonly foldName: (name: string) => string;
  /** What an artifact stands under: the stored id of a grant, or a client. */
  readonly referencesOf: (artifact: StoreRecords['artifacts']) => {
    readonly grant: string | null;
    readonly clientId: string | null;
  };
  readonly now: () => number;
}

/** The same thing, as often as it was found. */
export interface Finding {
  readonly what: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export interface Findings {
  readonly faults: readonly Finding[];
  readonly leftOver: readonly Finding[];
}

export interface ConsistencyCheck {
  /** Takes the records in the order of a snapshot. */
  add(records: readonly StoredRecord[]): void;
  /** After the last record. */
  end(): Findings;
}

export function createConsistencyCheck(options: ConsistencyOptions): ConsistencyCheck {
  const faults = createFindings();
  const leftOver = createFindings();
  const checks = createChecks(options, faults.add, leftOver.add);
  return {
    add: (records) => {
      for (const { store, record } of records) {
        const check = checks.each[store] as ((it: unknown) => void) | undefined; // it takes the records of its store
        check?.(record);
      }
    },
    end: () => {
      checks.end();
      return { faults: faults.all(), leftOver: leftOver.all() };
    },
  };
}

type Tell = (what: string, example: string) => void;

function createFindings() {
  const found = new Map<string, { count: number; readonly examples: string[] }>();
  return {
    add: (what: string, example: string, count = 1): void => {
      const finding = found.get(what) ?? { count: 0, examples: [] };
      found.set(what, finding);
      finding.count += count;
      if (finding.examples.length < MAX_EXAMPLES && example !== '') finding.examples.push(example);
    },
    all: (): readonly Finding[] => [...found].map(([what, finding]) => ({ what, ...finding })),
  };
}

type Checks = { readonly [Name in StoreName]?: (record: StoreRecords[Name]) => void };

function createChecks(
  options: ConsistencyOptions,
  fault: Tell,
  leftOver: ReturnType<typeof createFindings>['add'],
): { readonly each: Checks; end(): void } {
  const [accounts, usernames, clients] = [createIdSet(), createIdSet(), createIdSet()];
  const names = createNameCheck(options, fault);
  const grants = createGrantCheck(options, leftOver);
  const audit = createAuditCheck(options, fault);
  const at = options.now();
  const assertOpens = createSealCheck(options, fault);
  const assertThere = (id: string | null | undefined, set: IdSet, what: string): void => {
    if (id !== undefined && id !== null && !set.has(id)) leftOver(what, id);
  };

  const each: Checks = {
    signingKeys: ({ keys }) =>
      keys.forEach(({ kid, sealedJwk }) => assertOpens(sealedJwk, kid, 'a signing key')),
    sealedSecrets: ({ name, sealed }) => {
      assertOpens(sealed, name, 'a secret of this installation');
      audit.takeKey(name, sealed);
    },
    names: names.add,
    accounts: ({ id, username }) => {
      accounts.add(id);
      usernames.add(username);
      names.assert(username, 'account', 'a username');
    },
    clients: ({ clientId }) => {
      clients.add(clientId);
      names.assert(clientId, 'service', 'a client id');
    },
    resourceServers: ({ identifier, audience, sealedSecret }) => {
      names.assert(audience, 'service', 'an audience');
      if (sealedSecret !== null) assertOpens(sealedSecret, identifier, 'the secret of a resource server');
    },
    customers: ({ account, clientId }) => {
      assertThere(account, usernames, 'a customer tied to an account that is gone');
      assertThere(clientId, clients, 'a customer tied to a client that is gone');
    },
    apiKeys: ({ accountId }) => assertThere(accountId, accounts, 'an API key of an account that is gone'),
    oneTimeTokens: ({ accountId, expiresAt }) => {
      if (expiresAt > at) assertThere(accountId, accounts, 'a mailed link of an account that is gone');
    },
    outbox: ({ clientId, expiresAt }) => {
      if (expiresAt > at) assertThere(clientId, clients, 'a message to a client that is gone');
    },
    artifacts: (artifact) => {
      if (artifact.expiresAt <= at) return; // nobody finds it any more
      const { accountId, model } = artifact;
      assertThere(accountId, accounts, `what an account that is gone had (${model})`);
      const { clientId } = options.referencesOf(artifact);
      assertThere(clientId, clients, `what a client that is gone had (${model})`);
      grants.add(artifact);
    },
    audit: audit.add,
  };
  return { each, end: grants.end };
}

const createSealCheck =
  ({ open }: ConsistencyOptions, fault: Tell) =>
  (sealed: string, context: string, what: string): void => {
    if (tryOpen(open, sealed, context) === null) fault(`${what} does not open with this SECRET_KEY`, context);
  };

function createNameCheck({ foldName }: ConsistencyOptions, fault: Tell) {
  const claimed = { account: createIdSet(), service: createIdSet() };
  return {
    add: ({ name, kind }: StoreRecords['names']): void => claimed[kind].add(name),
    assert: (name: string, kind: keyof typeof claimed, what: string): void => {
      if (!claimed[kind].has(foldName(name))) fault(`${what} is not in the register of names`, name);
    },
  };
}

/** Grants and what stands under them come in no order, so it is told at the end. */
function createGrantCheck(
  { referencesOf }: ConsistencyOptions,
  leftOver: ReturnType<typeof createFindings>['add'],
) {
  const grants = createIdSet();
  const referring = new Map<string, IdSet>();
  return {
    add: (artifact: StoreRecords['artifacts']): void => {
      if (artifact.model === 'Grant') grants.add(artifact.id);
      const { grant } = referencesOf(artifact);
      if (grant === null) return;
      const ofModel = referring.get(artifact.model) ?? createIdSet();
      referring.set(artifact.model, ofModel);
      ofModel.add(grant);
    },
    end: (): void => {
      for (const [model, ofModel] of referring) {
        const missing = ofModel.countMissing(grants);
        if (missing > 0) leftOver(`a grant that is gone, and had more (${model})`, '', missing);
      }
    },
  };
}

function createAuditCheck({ open, chainKeyName, checkChain }: ConsistencyOptions, fault: Tell) {
  let check: ((record: AuditRecord) => string | null) | null = null;
  let isFaulty = false; // one fault says enough: what follows it does not follow
  return {
    takeKey: (name: string, sealed: string): void => {
      const key = name === chainKeyName ? tryOpen(open, sealed, name) : null;
      if (key !== null) check = checkChain(key);
    },
    add: (record: AuditRecord): void => {
      if (isFaulty) return;
      const found = check === null ? 'its key is not there' : check(record);
      if (found === null) return;
      isFaulty = true;
      fault('the audit log is not as it was written', found);
    },
  };
}

function tryOpen(open: ConsistencyOptions['open'], sealed: string, context: string): string | null {
  try {
    return open(sealed, context);
  } catch {
    return null;
  }
}
