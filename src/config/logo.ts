/** The file of the brand's logo: what it must be, and what is wrong with one that is not. */
import fs from 'node:fs';

import type { ConfigFault, Source } from './faults.ts';
import { settingFault } from './refusals.ts';
import { errorCode } from './secret-sources.ts';

const MAX_KIB = 64;
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** What may stand before the root element: a byte order mark, the declaration, comments, a document type. */
const SVG =
  /^\uFEFF?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^]*?-->\s*)*(?:<!DOCTYPE svg[^>]*>\s*)?<svg(?<attributes>[^>]*)>/;
const NAMESPACE = /\bxmlns=["']http:\/\/www\.w3\.org\/2000\/svg["']/;

interface Logo {
  readonly path: string;
  readonly type: 'image/svg+xml' | 'image/png';
}

/** Looks at the file; `found` completes the fault where it is none that pages can show. */
export function inspectLogo(path: string): Logo | { readonly found: string } {
  try {
    const { size } = fs.statSync(path);
    if (size > MAX_KIB * 1024) return { found: `found a file of ${Math.ceil(size / 1024)} KiB` };
    const bytes = fs.readFileSync(path);
    if (bytes.subarray(0, PNG.length).equals(PNG)) return { path, type: 'image/png' };
    const attributes = SVG.exec(bytes.toString('utf8'))?.groups?.['attributes'];
    if (attributes === undefined) return { found: 'found a file that is neither SVG nor PNG' };
    if (NAMESPACE.test(attributes)) return { path, type: 'image/svg+xml' };
    return { found: 'found an SVG without xmlns="http://www.w3.org/2000/svg", which browsers do not draw' };
  } catch (error) {
    return { found: `the file ${path} cannot be read (${errorCode(error)})` };
  }
}

/** The fault of a logo that pages cannot show. */
export function logoFaults(
  logo: Logo | { readonly found: string } | null,
  source: Source,
): readonly ConfigFault[] {
  if (logo === null || 'type' in logo) return [];
  const expected = `an SVG or PNG file of at most ${MAX_KIB} KiB`;
  const remedy = 'Name such a file, or set BRAND_LOGO=none for the mark of Portcullis.';
  return [settingFault('brandLogo', source, logo.found, expected, remedy)];
}
