/**
 * What a double demands is a table of rules, read in order; the first that is broken gives the answer.
 *
 * A source that ends in `(assumed)` does not say which code, text or limit the vendor uses, or says it nowhere: the
 * double then takes the strictest reading.
 *
 * @module
 */

export interface Rule<Context, Problem> {
  /** Unique in its double; requests that break the rule are logged with it. */
  readonly name: string
  /** Where the vendor says so. */
  readonly source: string
  readonly check: (context: Context) => Problem | undefined
}

export interface Broken<Problem> {
  readonly rule: string
  readonly problem: Problem
}

/** @returns undefined when nothing is broken */
export function firstBroken<Context, Problem>(
  rules: readonly Rule<Context, Problem>[],
  context: Context,
): Broken<Problem> | undefined {
  for (const { name, check } of rules) {
    const problem = check(context)
    if (problem !== undefined) return { rule: name, problem }
  }
  return undefined
}

export function namesOf(...tables: readonly (readonly { readonly name: string }[])[]): readonly string[] {
  return tables.flat().map(({ name }) => name)
}

/** A change of the cloud's own configuration that it does not accept. */
export class CloudRefusal extends Error {
  override readonly name = 'CloudRefusal'
  readonly rule: string
  readonly status: number
  readonly code: string

  constructor(rule: string, problem: { readonly status: number; readonly code: string; readonly message: string }) {
    super(problem.message)
    this.rule = rule
    this.status = problem.status
    this.code = problem.code
  }
}
