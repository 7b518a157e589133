/** What the tour looks like: its headings, requests and answers, in the columns and colours of a terminal. */
import pico from 'picocolors';

import { showExchanges } from './exchange-view.ts';
import { wrap } from './layout.ts';

const MAX_COLUMNS = 100;

export interface Screen {
  readonly columns: number;
  readonly hasColours: boolean;
  write(text: string): void;
}

type Paint = (text: string) => string;

/** How to write on a screen. */
export interface Ink {
  readonly width: number;
  readonly colours: Pick<typeof pico, 'bold' | 'cyan' | 'dim' | 'green' | 'red' | 'yellow'>;
  /** Each with a line feed. */
  lines(texts: readonly string[], paint?: Paint): void;
  /** A text behind a sign, under which it goes on. */
  item(sign: string, text: string): void;
}

export type Page = ReturnType<typeof createPage>;

/** Makes what writes to a screen. */
export function createPage(screen: Screen) {
  const ink = createInk(screen);
  const { width, colours, lines, item } = ink;
  const { bold, cyan, dim, green, red, yellow } = colours;
  const paragraph = (text: string, paint: Paint): void => lines(wrap(text, width), paint);

  const exchanges = showExchanges(ink);

  return {
    ...exchanges,
    heading: (title: string): void => lines(['', bold(title)]),
    /** `[3/15] Title`, over a line of which as much is drawn as the tour is through. */
    step: (number: number, count: number, title: string): void => {
      exchanges.apart();
      const done = Math.round((number / count) * width);
      lines(['', `${cyan(`[${number}/${count}]`)} ${bold(title)}`]);
      lines([cyan('━'.repeat(done)) + dim('─'.repeat(width - done))]);
    },
    say: (text: string): void => paragraph(text, asItIs),
    good: (text: string): void => paragraph(text, (line) => bold(green(line))),
    bad: (text: string): void => {
      lines(['']);
      paragraph(text, (line) => bold(red(line)));
    },
    /** A line of the tour's own beside the requests: a mail, a command. */
    note: (sign: string, text: string): void => {
      lines(['']);
      item(cyan(sign), text);
    },
    leftOut: (reason: string): void => {
      lines(['']);
      item(yellow('–'), `Left out: ${reason}`);
    },
    /** The question, apart from what was shown: whoever edits a line has it written anew, and alone. */
    prompt: (text: string): string => {
      lines(['']);
      return `${dim(text)} `;
    },
  };
}

function createInk({ columns, hasColours, write }: Screen): Ink {
  // The last column stays free: some terminals break the line there already.
  const width = Math.min(columns, MAX_COLUMNS) - 1;
  const lines: Ink['lines'] = (texts, paint = asItIs) =>
    write(texts.map((text) => `${paint(text)}\n`).join(''));
  return {
    width,
    colours: pico.createColors(hasColours),
    lines,
    item: (sign, text) =>
      lines(wrap(text, width - 4).map((line, index) => `  ${index === 0 ? sign : ' '} ${line}`)),
  };
}

const asItIs: Paint = (text) => text;
