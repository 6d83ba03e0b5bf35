/**
 * The name that was probably meant.
 *
 * @module
 */

/** Among more, one that is near by chance is likely, and looking is long. */
const maxKnown = 200
const maxListed = 20

/** The known name that is nearest to `name`, when it is near: one change in three letters, at most two. */
export function findSimilarName(name: string, known: readonly string[]): string | undefined {
  if (known.length > maxKnown) return undefined
  const reach = Math.min(2, Math.max(1, Math.floor(name.length / 3)))
  const written = name.toLowerCase()
  let nearest: string | undefined
  let least = reach + 1
  for (const candidate of known) {
    const distance = distanceOf(written, candidate.toLowerCase(), reach)
    if (distance >= least) continue
    nearest = candidate
    least = distance
  }
  return nearest
}

/** The names in their order, the first of many. */
export function listNames(names: readonly string[]): string {
  const more = names.length - maxListed
  return names.slice(0, maxListed).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** How many letters are to be put in, taken out, changed or swapped with the next; more than `reach` when it is more. */
function distanceOf(a: string, b: string, reach: number): number {
  const far = reach + 1
  if (Math.abs(a.length - b.length) > reach) return far
  let [before, above]: [readonly number[], readonly number[]] = [[], Array.from({ length: b.length + 1 }, (_, i) => i)]
  for (let row = 1; row <= a.length; row++) {
    const current: number[] = [row]
    for (let column = 1; column <= b.length; column++) {
      const changed = (above[column - 1] ?? far) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const swapped = isSwapped ? (before[column - 2] ?? far) + 1 : far
      const distance = Math.min(changed, swapped, (above[column] ?? far) + 1, (current[column - 1] ?? far) + 1)
      current.push(distance)
    }
    // Of the rows below none has less: a swap goes back by two rows, and costs one.
    if (Math.min(...current) > reach) return far
    before = above
    above = current
  }
  return above[b.length] ?? far
}
