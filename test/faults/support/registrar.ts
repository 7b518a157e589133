/**
 * A process that registers clients one after the other, as the command line does, and tells its parent of each once
 * it is saved: `fork('registrar.ts', [PREFIX])` with an installation's environment. It is there to be killed.
 */
import { openAdministration } from '../../../src/composition/administration.ts';
import { loadConfig } from '../../../src/config.ts';

/** What it tells its parent. */
export interface Registered {
  readonly id: string;
  readonly secret: string;
}

const MAX_CLIENTS = 2_000;
const [prefix = 'client'] = process.argv.slice(2);

const loaded = loadConfig({ flags: {}, env: process.env });
if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
const administration = await openAdministration(loaded.config, loaded.secrets);
process.on('disconnect', () => process.exit());

for (let n = 0; n < MAX_CLIENTS; n += 1) {
  const id = `${prefix}-${n}`;
  const saved = await administration.saveClient('create', id, false, { scope: 'read' });
  if (!saved.ok || saved.secret === null) throw new Error(`${id} was refused: ${JSON.stringify(saved)}`);
  process.send?.({ id, secret: saved.secret } satisfies Registered);
}
