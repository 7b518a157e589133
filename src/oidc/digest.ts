/** What the store knows of a token, code or session id: a SHA-256. The value itself is never stored. */
import { digest } from '../digest.ts';

// 132 bits: no value fits another's record, and the index of live tokens is half as large.
const ID_CHARACTERS = 22;

/** The stored id of an artifact. The model is part of it, so that a value of one kind never stands for another. */
export const artifactId = (model: string, value: string): string =>
  digest(`${model}:${value}`).slice(0, ID_CHARACTERS);
