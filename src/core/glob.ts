/**
 * Patterns of `glob`: `*` is any run of characters without `/`, `**` any run at all, and both may be empty. Every other
 * character is itself; there is nothing to escape with.
 *
 * Matched by two marks to go back to, never by a regular expression: the time is at most that of the text times that of
 * the pattern.
 *
 * @module
 */

/** Characters of a pattern that is not written out in the expression, so that a claim can not make a slow one. */
export const maxPatternLength = 256

/** What is wrong with a pattern, if anything. */
export function findPatternProblem(pattern: string): string | undefined {
  if (pattern.length > maxPatternLength) return `a pattern has at most ${maxPatternLength} characters`
  return pattern.includes('***') ? 'a pattern has * and **, and no ***' : undefined
}

/** What every matching text begins with. */
export function literalPrefix(pattern: string): string {
  const star = pattern.indexOf('*')
  return star < 0 ? pattern : pattern.slice(0, star)
}

/** Whether the whole text fits the pattern. */
export function matchesGlob(text: string, pattern: string): boolean {
  let at = 0
  let next = 0
  let star: Mark | undefined
  let doubleStar: Mark | undefined
  while (at < text.length || next < pattern.length) {
    if (pattern.startsWith('**', next)) {
      next += 2
      doubleStar = { at, next }
      star = undefined
    } else if (pattern[next] === '*') {
      next += 1
      star = { at, next }
    } else if (at < text.length && pattern[next] === text[at]) {
      at++
      next++
    } else {
      star = longer(star, text, '/')
      if (!star) doubleStar = longer(doubleStar, text, undefined)
      const resumed = star ?? doubleStar
      if (!resumed) return false
      at = resumed.at
      next = resumed.next
    }
  }
  return true
}

/** Where a run of a wildcard ends in the text, and where the pattern goes on after it. */
interface Mark {
  readonly at: number
  readonly next: number
}

/** The same wildcard with one character more, unless the text ends or that character stops it. */
function longer(mark: Mark | undefined, text: string, stop: string | undefined): Mark | undefined {
  if (!mark || mark.at >= text.length || text[mark.at] === stop) return undefined
  return { at: mark.at + 1, next: mark.next }
}
