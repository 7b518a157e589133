/** A page of an example, as text: what it shows of others is escaped. */

/** `content` is HTML already; `site` is what the example is. */
export const toPage = (site: string, title: string, content: string): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${escape(title)} · ${site}</title>
    <link rel="icon" href="/icon.svg">
    <link rel="stylesheet" href="/style.css">
  </head>
  <body>
    <main class="card">
      <p class="brand"><img src="/icon.svg" width="22" height="22" alt=""> ${site}</p>
      <h1>${escape(title)}</h1>
      ${content}
    </main>
  </body>
</html>
`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

/** The time of day of an instant in Unix seconds, as HTML; in UTC, since the server does not know the reader's zone. */
export function timeOf(seconds: number): string {
  const iso = new Date(seconds * 1_000).toISOString();
  return `<time datetime="${iso}">${iso.slice(11, 19)} UTC</time>`;
}
