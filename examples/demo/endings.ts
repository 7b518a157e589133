/** How a tour ends before its last step. Whoever interrupts it does so by an AbortSignal, whose reason is thrown. */

/** Something that is nobody's bug stands in the way: a sentence that says what, and what to do. */
export class Refusal extends Error {}

/** An answer was another one than the tour expects. */
export class Surprise extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}
