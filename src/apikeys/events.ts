/** What happens to API keys that somebody may ask about later. No event holds a key. */

interface OfKey {
  readonly accountId: string;
  readonly keyId: string;
}

export interface ApiKeyEvents {
  apiKeyCreated(event: OfKey & { readonly scopes: readonly string[] }): void;
  /** `changes` names the fields. */
  apiKeyChanged(event: OfKey & { readonly changes: readonly string[] }): void;
  /** The old secret ends after the overlap. */
  apiKeyRotated(event: OfKey & { readonly overlapSeconds: number }): void;
  apiKeyDeleted(event: OfKey): void;
}
