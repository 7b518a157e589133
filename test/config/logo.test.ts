/** The logo of the brand: which files pages can show, and what is said of the others. */
import { describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { STRONG, faultsOf, load, makeFolder } from './load.ts';

describe('the logo of the brand', () => {
  const SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>';
  const PNG = Buffer.from('89504e470d0a1a0a0000000d', 'hex');

  const withLogo = (content: string | Buffer) => {
    const cwd = makeFolder();
    writeFileSync(path.join(cwd, 'logo'), content);
    return { cwd, env: { ...STRONG, BRAND_LOGO: 'logo' } };
  };

  test.each([
    ['SVG', SVG, 'image/svg+xml'],
    [
      'SVG with what may stand before it',
      `\uFEFF<?xml version="1.0"?>\n<!-- a > b -->\n${SVG}`,
      'image/svg+xml',
    ],
    ['PNG', PNG, 'image/png'],
  ])('is an %s file', (_name, content, type) => {
    const input = withLogo(content);
    expect(load(input).config.brand.logo).toEqual({ path: path.join(input.cwd, 'logo'), type });
  });

  test.each([
    ['something else', 'GIF89a', 'neither SVG nor PNG'],
    ['a page with an SVG in it', `<html>${SVG}</html>`, 'neither SVG nor PNG'],
    ['an SVG that no browser draws', '<svg viewBox="0 0 1 1"/>', 'without xmlns='],
    ['one that is too large', Buffer.concat([PNG, Buffer.alloc(65 * 1024)]), 'a file of 66 KiB'],
  ])('is refused where it is %s', (_name, content, found) => {
    const [fault = '', ...others] = faultsOf(withLogo(content));
    expect(others).toEqual([]);
    expect(fault).toContain('BRAND_LOGO [brand.logo] (environment BRAND_LOGO): found');
    expect(fault).toContain(found);
    expect(fault).toContain(
      'expected an SVG or PNG file of at most 64 KiB. Name such a file, or set BRAND_LOGO=none',
    );
  });

  test('is refused where it is not there', () => {
    expect(faultsOf({ env: { ...STRONG, BRAND_LOGO: 'absent.svg' } })).toEqual([
      expect.stringMatching(/^BRAND_LOGO .*absent\.svg cannot be read \(ENOENT\)/),
    ]);
  });
});
