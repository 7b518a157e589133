/** Ending what was issued under a grant. */
import type { ArtifactStore } from '../storage/port.ts';
import { artifactId } from './digest.ts';

/** Ends a grant, then all that was issued under it: without its grant nothing of it counts (RFC 9700 4.14.2). */
export async function revokeGrant(artifacts: ArtifactStore, grantId: string): Promise<void> {
  await artifacts.destroy('Grant', artifactId('Grant', grantId));
  await artifacts.revokeGrant(grantId);
}
