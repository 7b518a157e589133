/**
 * Colours of a brand: how far two of them stand apart (WCAG 2, relative luminance), and the lighter twin of an
 * accent for dark pages. Pure; the settings refuse by it, and the views derive from it.
 */

/** The least contrast of text (WCAG 2 AA). */
export const LEAST_CONTRAST = 4.5;
export const WHITE = '#ffffff';

/** Steps on the way to white; finer ones cannot be told apart. */
const STEPS = 50;

type Channels = readonly [red: number, green: number, blue: number];

/** The contrast of two colours, each `#rrggbb`: from 1, the same, to 21, black on white. */
export function contrastOf(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminanceOf(one), luminanceOf(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

/** The accent, mixed with as little white as makes it readable on a dark background: the hue stays. */
export function lightenFor(background: string, accent: string, leastContrast: number): string {
  for (let step = 0; step <= STEPS; step += 1) {
    const mixed = mixWithWhite(accent, step / STEPS);
    if (contrastOf(mixed, background) >= leastContrast) return mixed;
  }
  return WHITE;
}

function mixWithWhite(colour: string, share: number): string {
  const mixed = channelsOf(colour).map((channel) => Math.round(channel + (255 - channel) * share));
  return `#${mixed.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
}

function luminanceOf(colour: string): number {
  const [red, green, blue] = channelsOf(colour).map(linear) as unknown as Channels; // map keeps the length
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function linear(channel: number): number {
  const share = channel / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
}

function channelsOf(colour: string): Channels {
  const bits = Number.parseInt(colour.slice(1), 16);
  return [bits >> 16, (bits >> 8) & 0xff, bits & 0xff];
}
