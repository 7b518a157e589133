/**
 * What a request tells of the device that sent it: a name by which its owner knows it again, and a fingerprint by
 * which we do. Both are made of what stays the same from one request to the next; versions come and go.
 */
import { hash } from 'node:crypto';

import Bowser from 'bowser';
import type { Context } from 'koa';

const MAX_HEADER = 300;
/** Names of programs (`curl`, `Go-http-client`), too short for a sentence or an address: they stand in our mails. */
const PRODUCT = /^(?=[\w-]{1,24}(?![\w.-]))[A-Za-z]+\d{0,2}(?:-[A-Za-z]+\d{0,2}){0,2}(?![\w.-])/;
/** What bowser knows; for others it takes what stands before a slash, whatever it says. */
const BROWSERS: ReadonlySet<string> = new Set(Object.values(Bowser.BROWSER_MAP));
/** 132 bits: nobody looks for two devices that share one. */
const FINGERPRINT_CHARACTERS = 22;

/** Who is at the other end of a request. */
export interface Visit {
  readonly ip: string;
  readonly userAgent: string;
  readonly fingerprint: string;
}

/** Reads it from the headers; each is a stranger's to write, so each is cut. */
export function visitOf(ctx: Context): Visit {
  const header = (name: string): string => ctx.get(name).slice(0, MAX_HEADER);
  const userAgent = header('User-Agent');
  const traits = [
    describeDevice(userAgent) ?? '',
    header('Accept-Language').toLowerCase().replaceAll(' ', ''),
    brandsOf(header('Sec-CH-UA')),
    header('Sec-CH-UA-Platform'),
    header('Sec-CH-UA-Mobile'),
  ];
  const fingerprint = hash('sha256', JSON.stringify(traits), 'base64url').slice(0, FINGERPRINT_CHARACTERS);
  return { ip: ctx.ip, userAgent, fingerprint };
}

/**
 * Such as `Firefox, Linux`: the family of a browser and its system, or the first product of another program
 * (`curl`). Null for what names neither.
 */
export function describeDevice(userAgent: string): string | null {
  if (userAgent === '') return null; // bowser takes none for a mistake of ours
  const bounded = userAgent.slice(0, MAX_HEADER);
  const { browser, os } = Bowser.parse(bounded);
  const isKnown = browser.name !== undefined && BROWSERS.has(browser.name);
  const program = isKnown ? browser.name : productOf(bounded);
  const parts = [program, named(os.name)].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join(', ');
}

const named = (name: string | undefined): string | null => (name === undefined || name === '' ? null : name);

/** `Mozilla` is what all browsers say, so it names none. */
function productOf(userAgent: string): string | null {
  const [product] = PRODUCT.exec(userAgent) ?? [];
  return product === undefined || product === 'Mozilla' ? null : product;
}

/** The brands without their versions, and without the one that is made up anew in each release (`Not A(Brand`). */
const brandsOf = (hint: string): string =>
  [...hint.matchAll(/"([^"]*)";v=/g)]
    .map(([, brand = '']) => brand)
    .filter((brand) => !/not.*brand/i.test(brand))
    .sort()
    .join();
