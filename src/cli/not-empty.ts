/** An option's text. */
import { InvalidArgumentError } from 'commander';

/** Takes any text but an empty one, such as a variable of the shell leaves that is not set. */
export function notEmpty(text: string): string {
  if (text.trim() !== '') return text;
  throw new InvalidArgumentError('Expected a text that is not empty; leave the option out for its default.');
}
