/**
 * The engine as people use it: what they do with their sessions and their consents is told as an event. What an
 * administrator does with them goes to the engine itself, and has a record of its own.
 */
import type { AccessEvents } from '../events.ts';
import type { Engine } from '../oidc/provider.ts';

export const tellAccess = (engine: Engine, events: AccessEvents): Engine => ({
  ...engine,
  sessions: {
    ...engine.sessions,
    end: async (accountId, id) => {
      const wasThere = await engine.sessions.end(accountId, id);
      if (wasThere) events.sessionEnded({ accountId, sessionId: id });
      return wasThere;
    },
    endAll: async (accountId, exceptId) => {
      await engine.sessions.endAll(accountId, exceptId);
      events.sessionsEnded({ accountId, exceptId });
    },
  },
  interactions: {
    ...engine.interactions,
    consent: async (...request) => {
      const asked = await engine.interactions.details(...request);
      const address = await engine.interactions.consent(...request);
      if (asked !== null && asked.accountId !== null) {
        const { accountId, client, missing } = asked;
        // A service may have a scope by the name of one of ours.
        const scopes = [...new Set([...missing.scopes, ...Object.values(missing.resources).flat()])];
        events.consentGranted({ accountId, clientId: client.clientId, scopes });
      }
      return address;
    },
  },
  applications: {
    ...engine.applications,
    revoke: async (accountId, clientId) => {
      const wasThere = await engine.applications.revoke(accountId, clientId);
      if (wasThere) events.consentRevoked({ accountId, clientId });
      return wasThere;
    },
  },
});
