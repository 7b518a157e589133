/** Requests and answers on the page: what of them belongs to the story, with every secret shortened. */
import { STATUS_CODES } from 'node:http';
import { stripVTControlCharacters } from 'node:util';

import { headersOf } from './exchange.ts';
import type { Answer, Ask } from './exchange.ts';
import { formatJson, wrap } from './layout.ts';
import type { Ink } from './page.ts';
import { shorten, shortenHeader, shortSecret } from './secrets.ts';

const INSET = '    ';
/** A longer body is cut: the story is told by its beginning. */
const MAX_BODY_LINES = 20;
const TOLD_HEADERS = ['Location', 'WWW-Authenticate', 'Retry-After', 'RateLimit'];

type Header = readonly [name: string, value: string];

/** Makes what shows them. */
export function showExchanges(ink: Ink) {
  const { lines, item } = ink;
  const { cyan, green, red } = ink.colours;
  let wasBrief = false;

  return {
    request: (ask: Ask): void => {
      wasBrief = false;
      lines(['', requestLine(ask, ink)]);
      showHeaders(
        Object.entries(headersOf(ask)).map(([name, value]) => [name, shortenHeader(name, value)]),
        ink,
      );
      showBody(ask.body, ink);
    },
    answer: (answer: Answer): void => {
      lines([`  ${cyan('←')} ${statusOf(answer, ink)}`]);
      showHeaders(
        TOLD_HEADERS.map((name): Header => [name, answer.headers.get(name) ?? '']).filter(
          ([, value]) => value !== '',
        ),
        ink,
      );
      showBody(answer.body, ink);
    },
    /** Both in one line, where what they look like was shown before; several of them stand together. */
    brief: (ask: Ask, answer: Answer): void => {
      if (!wasBrief) lines(['']);
      wasBrief = true;
      showBriefly(ask, answer, ink);
    },
    /** What comes now stands apart from what was shown. */
    apart: (): void => {
      wasBrief = false;
    },
    so: (text: string): void => item(green('✓'), text),
    surprise: (faults: readonly string[]): void => faults.forEach((fault) => item(red('✗'), fault)),
  };
}

function requestLine({ method, path, device }: Ask, { colours: { bold, cyan, dim } }: Ink): string {
  return `  ${cyan('→')} ${bold(method)} ${path}${device === 'phone' ? dim('  from the phone') : ''}`;
}

function showBriefly(ask: Ask, answer: Answer, ink: Ink): void {
  const { width, colours, lines } = ink;
  const credential = ask.token ?? ask.apiKey;
  const by = credential === undefined ? '' : colours.dim(`  by ${shortSecret(credential)}`);
  const request = requestLine(ask, ink) + by;
  const status = `${colours.cyan('←')} ${statusOf(answer, ink)}`;
  const isLong = stripVTControlCharacters(`${request}  ${status}`).length > width;
  lines(isLong ? [request, `  ${status}`] : [`${request}  ${status}`]);
}

function statusOf({ status }: Answer, { colours: { green, red, yellow } }: Ink): string {
  const paint = status < 400 ? green : status < 500 ? yellow : red;
  return paint(`${status} ${STATUS_CODES[status] ?? ''}`.trimEnd());
}

function showHeaders(headers: readonly Header[], { width, colours, lines }: Ink): void {
  for (const [name, value] of headers) {
    const wrapped = wrap(`${name}: ${value}`, width - INSET.length, '  ');
    lines(
      wrapped.map((line) => INSET + line),
      colours.dim,
    );
  }
}

function showBody(body: unknown, { width, colours, lines }: Ink): void {
  if (body === undefined) return;
  const all = formatJson(shorten(body), width - INSET.length).map((line) => INSET + line);
  lines(all.slice(0, MAX_BODY_LINES), (line) => line.replaceAll(/"\w+"(?=: )/g, (key) => colours.cyan(key)));
  if (all.length > MAX_BODY_LINES)
    lines([`${INSET}… ${all.length - MAX_BODY_LINES} more lines`], colours.dim);
}
