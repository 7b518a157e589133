/** Load by wrk: the request as a script of its own language, its report as numbers. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MILLISECONDS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000 };

export interface Request {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Sample {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
}

/** True where wrk is on the path. */
export async function isWrkThere(): Promise<boolean> {
  try {
    await run('wrk', ['--version']);
    return true;
  } catch (error) {
    // It prints its version and exits with 1.
    return Error.isError(error) && 'stdout' in error && String(error.stdout).includes('wrk');
  }
}

/** Loads one URL from one thread of wrk. */
export async function loadByWrk(request: Request, connections: number, seconds: number): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-wrk-'));
  try {
    const script = join(folder, 'request.lua');
    writeFileSync(script, toLua(request));
    const options = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script, request.url];
    const { stdout } = await run('wrk', options, { timeout: (seconds + 20) * 1_000 });
    return parseReport(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** JSON's strings are Lua's, for the printable ASCII that stands in them. */
function toLua({ method, headers, body }: Request): string {
  const lines = Object.entries(headers).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  );
  return [
    `wrk.method = ${JSON.stringify(method)}`,
    `wrk.body = ${JSON.stringify(body ?? '')}`,
    ...lines,
  ].join('\n');
}

function parseReport(report: string): Sample {
  const latency = (percentile: number): number => {
    const [, value = 'NaN', unit = ''] =
      new RegExp(`${percentile}%\\s+([\\d.]+)(us|ms|s)`).exec(report) ?? [];
    return Number((Number(value) * (MILLISECONDS[unit] ?? NaN)).toFixed(1));
  };
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(report)?.[1]),
    p50: latency(50),
    p99: latency(99),
    failures: Number(/Non-2xx or 3xx responses: (\d+)/.exec(report)?.[1] ?? 0),
  };
}
