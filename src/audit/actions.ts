/** What the log has records of, and of whom: what a filter may name, since another word would find nothing. */

/** Every action. */
export const AUDIT_ACTIONS = [
  ...['account.create', 'account.delete', 'account.email', 'account.lock', 'account.lockout'],
  ...['account.mail_reset_link', 'account.password', 'account.register', 'account.reset_password'],
  ...['account.session_end', 'account.sessions_end', 'account.sign_in', 'account.sign_in_refused'],
  ...['account.status', 'account.unlock', 'account.update'],
  ...['api_key.create', 'api_key.delete', 'api_key.rotate', 'api_key.update'],
  'audit.lost',
  ...['client.create', 'client.delete', 'client.rotate_secret', 'client.update'],
  ...['customer.create', 'customer.delete', 'customer.issue_token', 'customer.revoke_token'],
  ...['customer.revoke_tokens', 'customer.update'],
  ...['consent.grant', 'consent.revoke'],
  ...['keys.change', 'keys.create', 'keys.export', 'keys.import', 'keys.retire', 'keys.rotate'],
  ...['resource_server.create', 'resource_server.update'],
  'secrets.reencrypt',
  ...['store.backup', 'store.restore'],
  ...['vpn_node.add_key', 'vpn_node.create', 'vpn_node.delete', 'vpn_node.enrol', 'vpn_node.enrol_code'],
  ...['vpn_node.revoke_key', 'vpn_node.rotate_secret', 'vpn_node.update'],
] as const;

/** Actors that are no person or program of their own. */
export const AUDIT_ACTORS = ['cli', 'server', 'anonymous'] as const;

/** What stands before the id of an actor or a target, as in `account:ID`. */
export const AUDIT_KINDS = ['account', 'api-key', 'client', 'customer', 'key', 'resource-server'] as const;
