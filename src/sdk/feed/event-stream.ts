/** Server-sent events as they come (HTML, 9.2.6): their data alone, one event after the other. */

// More than the largest page.
const MAX_EVENT_CHARACTERS = 512 * 1024;

/** Gives the data of each event until the stream ends; rejects where it breaks, or an event has no end. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let waiting = '';
  let data: string[] = [];
  for await (const bytes of body) {
    waiting += decoder.decode(bytes, { stream: true });
    // A lone CR at the end may be the first half of a CRLF.
    const lines = waiting.split(/\r\n|\n|\r(?!$)/);
    waiting = lines.pop() ?? '';
    for (const line of lines) {
      if (line !== '') {
        const value = dataOf(line);
        if (value !== null) data.push(value);
      } else if (data.length > 0) {
        yield data.join('\n');
        data = [];
      }
    }
    if (waiting.length + data.reduce((sum, it) => sum + it.length, 0) > MAX_EVENT_CHARACTERS) {
      throw new Error('an event of the stream does not end');
    }
  }
}

/** Null for every other field, and for a comment. */
function dataOf(line: string): string | null {
  if (line === 'data') return '';
  return line.startsWith('data:') ? line.slice('data:'.length).replace(/^ /, '') : null;
}
