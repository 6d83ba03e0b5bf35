/**
 * The conformance tables: each requirement of a specification, and the test that holds it or why it does not apply.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'

interface RequirementHead {
  /** Such as `J-12`: prefix of the table and two digits. */
  readonly id: string
  /** As the specification has it; `NOTE` for text without a key word. */
  readonly level: 'MUST' | 'SHOULD' | 'MAY' | 'NOTE'
  /** Section of the specification. */
  readonly section: string
  /** The requirement in our own words. */
  readonly sentence: string
}

/** One row: `test` asserts what is accepted *and* what is refused; `reason` says why there is nothing to test here. */
export type Requirement = RequirementHead &
  ({ readonly test: () => void | Promise<void> } | { readonly reason: string })

/**
 * Registers a suite of one test per row, and one that no id from `<prefix>-01` to `<prefix>-<last>` is missing or twice.
 */
export function defineConformance(
  specification: string,
  ids: { readonly prefix: string; readonly last: number },
  requirements: readonly Requirement[],
): void {
  describe(specification, () => {
    test('every id has one row', () => {
      expect(requirements.map((row) => row.id)).toEqual(idsOf(ids))
    })

    test('what is not tested says why', () => {
      const unexplained = requirements.filter((row) => 'reason' in row && row.reason.trim().length < 20)
      expect(unexplained.map((row) => row.id)).toEqual([])
    })

    for (const row of requirements) {
      if ('test' in row) test(`${row.id} ${row.level} §${row.section}: ${row.sentence}`, row.test)
    }
  })
}

function idsOf({ prefix, last }: { readonly prefix: string; readonly last: number }): readonly string[] {
  return Array.from({ length: last }, (_, index) => `${prefix}-${String(index + 1).padStart(2, '0')}`)
}
