// Longest first, so that no worker ends with minutes of work alone. Jest knows how long a file takes only where it ran
// before; in a clean clone it goes by size, and the longest files are small: they run a contract that stands elsewhere.
import Sequencer from '@jest/test-sequencer';

const LONGEST = [
  'storage/mongo.test.ts',
  'views/browser.test.ts',
  'cli/keys.test.ts',
  'storage/mongo-failover.test.ts',
  'oidc/refresh.test.ts',
  'oidc/backchannel-logout.test.ts',
  'readme.test.ts',
  'life/single-page-app.test.ts',
  'admin/last-administrator.test.ts',
  'api/revocation.test.ts',
  'life/without-javascript.test.ts',
  'cli/serve.test.ts',
  'vpn/revocation-streams.test.ts',
  'storage/sqlite.test.ts',
  'keys/damaged.test.ts',
  'demo/demo.test.ts',
  'keys/instances.test.ts',
  'examples/start.test.ts',
];

const rankOf = ({ path }) => {
  const place = LONGEST.findIndex((name) => path.endsWith(`/test/${name}`));
  return place === -1 ? LONGEST.length : place;
};

export default class LongestFirst extends Sequencer {
  async sort(tests) {
    const known = await super.sort(tests);
    return [...known].sort((a, b) => rankOf(a) - rankOf(b));
  }
}
