/** Text in columns: lines that break between words, and JSON as short as it can be read. Pure, without colours. */

/** Stands for a space at which no line breaks; in JSON it is escaped, so that none comes from outside. */
const GLUE = '\u0000';

/** Breaks a text at spaces; a word that is longer than a line stays whole. `hang`: before all lines but the first. */
export function wrap(text: string, width: number, hang = ''): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line.trim() !== '' && longer.length > width) {
      lines.push(line);
      line = hang + word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

/** A value as JSON: a line for each of its parts, and for each item of a list; what is deeper flows on. */
export function formatJson(value: unknown, width: number): readonly string[] {
  return layOut(value, '', width).flatMap((line) => {
    const [indent = ''] = /^ */.exec(line) ?? [];
    return wrap(line.slice(indent.length), width - indent.length, '  ').map(
      (part) => indent + part.replaceAll(GLUE, ' '),
    );
  });
}

/** `before`: what stands on the line already, indentation and key. */
function layOut(value: unknown, before: string, width: number): readonly string[] {
  const line = before + inLine(value);
  const isList = Array.isArray(value);
  const isOpened = before === '' || isList;
  if (typeof value !== 'object' || value === null || !isOpened || line.length < width) return [line];
  const [indent = ''] = /^ */.exec(before) ?? [];
  const parts = Object.entries(value).map(([key, part]) =>
    layOut(part, `${indent}  ${isList ? '' : `${quote(key)}:${GLUE}`}`, width),
  );
  const lines = parts.flatMap((laid, index) =>
    index === parts.length - 1 ? laid : [...laid.slice(0, -1), `${laid.at(-1) ?? ''},`],
  );
  return [before + (isList ? '[' : '{'), ...lines, indent + (isList ? ']' : '}')];
}

function inLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return quote(value);
  const parts = Object.entries(value).map(([key, part]) => `${quote(key)}:${GLUE}${inLine(part)}`);
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

/** JSON escapes the control characters below the space; those above ASCII steer a terminal, too. */
const quote = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
