/**
 * A listing page by page. Where it goes on is what the store says, so that it ends is looked at here.
 *
 * @module
 */
import { DestinationError } from '../../core/secret-destination.ts'

export interface Page<Items> {
  readonly items: Items
  /** What asks for the page after it; undefined for the last one. */
  readonly next: string | undefined
}

/** Of the smallest pages that we ask for, more than a million secrets. */
const usualMaxPages = 50_000

/**
 * Circles of any length are found by a token that is kept, and moved on after 1, 2, 4, 8… pages (Brent's algorithm).
 *
 * @throws {DestinationError} `refused` for a listing that leads around in a circle or goes on for ever; what `ask` throws
 */
export async function* followPages<Items>(
  ask: (token: string | undefined) => Promise<Page<Items>>,
  maxPages = usualMaxPages,
): AsyncGenerator<Items> {
  let token: string | undefined
  let kept: string | undefined
  for (let pages = 1; ; pages++) {
    const { items, next } = await ask(token)
    yield items
    if (next === undefined) return
    if (next === kept || pages >= maxPages)
      throw new DestinationError('refused', 'it answers a listing that does not end', { code: 'endless' })
    if ((pages & (pages - 1)) === 0) kept = next
    token = next
  }
}
