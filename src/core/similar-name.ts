/**
 * The name that was probably meant.
 *
 * @module
 */

/** The known name that is nearest to `name`, when it is near: one change in three letters, at most two. */
export function findSimilarName(name: string, known: readonly string[]): string | undefined {
  const reach = Math.min(2, Math.max(1, Math.floor(name.length / 3)))
  const near = known
    .map((candidate) => ({ candidate, distance: distanceOf(name.toLowerCase(), candidate.toLowerCase(), reach) }))
    .filter(({ distance }) => distance <= reach)
  return near.sort((a, b) => a.distance - b.distance)[0]?.candidate
}

/** How many letters are to be put in, taken out, changed or swapped with the next. */
function distanceOf(a: string, b: string, reach: number): number {
  if (Math.abs(a.length - b.length) > reach) return reach + 1
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let row = 1; row <= a.length; row++) {
    rows.push([row])
    for (let column = 1; column <= b.length; column++) {
      const changed = at(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const swapped = isSwapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY
      rows[row]?.push(Math.min(changed, swapped, at(row - 1, column) + 1, at(row, column - 1) + 1))
    }
  }
  return at(a.length, b.length)
}
