/**
 * An answer that is written while the work goes on: a line of JSON for each thing that there is to say.
 *
 * @module
 */
import { refusalOf } from './problem.ts'

export type WriteLine = (value: unknown) => void

/**
 * What the work throws before its first line is thrown to the caller; after it a line `{error: {code, detail}}` is the
 * last one, as the status is long gone by then.
 */
export async function answerLines(work: (write: WriteLine) => Promise<void>): Promise<Response> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(
    undefined,
    // Whoever does the work never waits for whoever reads.
    new CountQueuingStrategy({ highWaterMark: 1 }),
  )
  const writer = writable.getWriter()
  const first = Promise.withResolvers<void>()
  let hasBegun = false

  function write(value: unknown): void {
    hasBegun = true
    first.resolve()
    // A reader that went away is no failure of the work.
    writer.write(new TextEncoder().encode(`${JSON.stringify(value)}\n`)).catch(() => undefined)
  }

  const done = work(write).then(
    () => first.resolve(),
    (error: unknown) => {
      if (!hasBegun) throw error
      const { code, detail } = refusalOf(error)
      write({ error: { code, detail } })
    },
  )
  const ended = done.finally(() => writer.close().catch(() => undefined))
  ended.catch(() => undefined)
  await Promise.race([first.promise, done])
  return new Response(readable, { headers: { 'content-type': 'application/jsonl' } })
}
