/** A small mail server (RFC 5321) that keeps what it takes, and fails in the ways that real ones do. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Received {
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and body, as they came. */
  readonly data: string;
}

export interface SmtpServer {
  readonly url: string;
  readonly port: number;
  readonly received: readonly Received[];
  /** Every line that was no message. */
  readonly commands: readonly string[];
  /** How many connections came. */
  readonly connections: () => number;
  stop(): Promise<void>;
}

export interface Behaviour {
  /** The answer to RCPT by the number of the connection, from 1; 250 where it gives null. */
  readonly onRecipient?: (connection: number) => string | null;
  /** Takes connections and says nothing. */
  readonly isMute?: boolean;
}

/** Listens on a port of its own. */
export async function startSmtpServer({
  onRecipient = () => null,
  isMute = false,
}: Behaviour = {}): Promise<SmtpServer> {
  const received: Received[] = [];
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    if (!isMute) converse(socket, { received, commands, refusal: onRecipient(connections) });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `smtp://127.0.0.1:${port}`,
    port,
    received,
    commands,
    connections: () => connections,
    stop: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

interface Conversation {
  readonly received: Received[];
  readonly commands: string[];
  readonly refusal: string | null;
}

function converse(socket: Socket, { received, commands, refusal }: Conversation): void {
  let from = '';
  let to: string[] = [];
  let data: string[] | null = null;
  let rest = '';
  const say = (line: string): void => void socket.write(`${line}\r\n`);
  const onLine = (line: string): void => {
    if (data !== null) {
      if (line !== '.') {
        data.push(line.replace(/^\.\./, '.'));
        return;
      }
      received.push({ from, to, data: data.join('\n') });
      data = null;
      say('250 taken');
      return;
    }
    commands.push(line);
    if (/^(EHLO|HELO)/i.test(line)) say('250 mail.test');
    else if (/^STARTTLS/i.test(line)) say('502 not here');
    else if (/^MAIL FROM:/i.test(line)) {
      from = line.slice(10);
      say('250 go on');
    } else if (/^RCPT TO:/i.test(line)) {
      if (refusal === null) to = [...to, line.slice(8)];
      say(refusal ?? '250 go on');
    } else if (/^DATA/i.test(line)) {
      data = [];
      say('354 end with a dot');
    } else if (/^QUIT/i.test(line)) {
      say('221 bye');
      socket.end();
    } else say('250 go on');
  };
  say('220 mail.test');
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\r\n');
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
  });
}
