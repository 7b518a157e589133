/** What the measurements say of their samples: quantiles, whether two of them differ, and how they look. */

/** The value below which a share of the samples lies; `sorted` ascending. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

export const ascending = (samples: readonly number[]): readonly number[] => samples.toSorted((a, b) => a - b);

export const median = (samples: readonly number[]): number => quantile(ascending(samples), 0.5);

export interface RankTest {
  /** How probable it is that one of `samples` is greater than one of `control`: 0.5 where they are alike. */
  readonly isGreater: number;
  /** How probable so large a difference is where they are alike; two-sided. */
  readonly p: number;
}

/** The Mann-Whitney test, by its normal approximation with ties: no matter how the samples are distributed. */
export function compareRanks(samples: readonly number[], control: readonly number[]): RankTest {
  const [n, m] = [samples.length, control.length];
  const all = [
    ...samples.map((value) => ({ value, isSample: true })),
    ...control.map((value) => ({ value, isSample: false })),
  ];
  all.sort((a, b) => a.value - b.value);
  let rankSum = 0;
  let ties = 0;
  for (let from = 0; from < all.length;) {
    let to = from;
    while (to < all.length && all[to]?.value === all[from]?.value) to += 1;
    const tied = to - from;
    const isSamples = all.slice(from, to).filter(({ isSample }) => isSample).length;
    rankSum += isSamples * ((from + 1 + to) / 2);
    ties += tied ** 3 - tied;
    from = to;
  }
  const u = rankSum - (n * (n + 1)) / 2;
  const total = n + m;
  const deviation = Math.sqrt(((n * m) / 12) * (total + 1 - ties / (total * (total - 1))));
  const z = deviation === 0 ? 0 : Math.max(0, Math.abs(u - (n * m) / 2) - 0.5) / deviation;
  return { isGreater: u / (n * m), p: 2 * (1 - normal(z)) };
}

/** The normal distribution's share below z ≥ 0 (Abramowitz and Stegun 26.2.17, to 7 digits). */
function normal(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const tail =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * tail;
}

const BARS = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** The distribution from `least` to `most` as a row of bars; what lies beyond stands at its ends. */
export function bars(samples: readonly number[], least: number, most: number, width = 40): string {
  const counts = Array.from({ length: width }, () => 0);
  for (const sample of samples) {
    const place = Math.floor(((sample - least) / (most - least)) * width);
    const at = Math.min(width - 1, Math.max(0, place));
    counts[at] = (counts[at] ?? 0) + 1;
  }
  const highest = Math.max(...counts);
  return counts.map((count) => BARS[Math.ceil((count / highest) * (BARS.length - 1))]).join('');
}
