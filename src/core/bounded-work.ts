/**
 * Work that comes in faster than it is done: so much of it at once, and whoever brings more waits.
 *
 * @module
 */

import { createPlaces } from './concurrency-limit.ts'

/** Answers when the work has begun, which is when there is a place for it. @throws what earlier work threw */
export type BeginWork = (work: () => Promise<void>) => Promise<void>

/**
 * Answers when `bring` and all that it began have ended, also when one of them throws: then nothing more begins, and the
 * first error is thrown once the rest has ended.
 *
 * @param most At once; at least 1.
 */
export async function runBounded(most: number, bring: (begin: BeginWork) => Promise<void>): Promise<void> {
  const places = createPlaces(most)
  let failure: { readonly error: unknown } | undefined

  function fail(error: unknown): void {
    failure ??= { error }
  }

  async function begin(work: () => Promise<void>): Promise<void> {
    await places.take()
    if (failure) {
      places.leave()
      throw failure.error
    }
    void work().catch(fail).finally(places.leave)
  }

  await bring(begin).catch(fail)
  for (let place = 0; place < most; place++) await places.take()
  if (failure) throw failure.error
}
