/** What a process of Node is started with that works on a file system without hard links, such as exFAT. */
const PRELOADED = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  fs.linkSync = () => {
    throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' });
  };
  fs.promises.link = async () => fs.linkSync();
  syncBuiltinESMExports();
`;

export const NO_LINKS: readonly string[] = [
  '--import',
  `data:text/javascript,${encodeURIComponent(PRELOADED)}`,
];
