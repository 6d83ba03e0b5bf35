/**
 * Answers that were given and that their peers do not take: a window of HTTP/2 that is never opened, a socket that is
 * never read.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'

/**
 * Cuts off every one of `open` whose answer is not taken within `drainMs`, or within twice as long: one look at all of
 * them costs less than a timer for each.
 *
 * @param open Responses that are not closed.
 * @returns What ends it.
 */
export function cutUndrained(open: Iterable<ServerResponse>, drainMs: number): () => void {
  let endedBefore = new WeakSet<ServerResponse>()
  const look = setInterval(() => {
    const ended = [...open].filter(isUndrained)
    for (const response of ended) if (endedBefore.has(response)) cut(response)
    endedBefore = new WeakSet(ended)
  }, drainMs)
  look.unref()
  return () => clearInterval(look)
}

/** A pipelined answer has no socket while one before it is not given, which is not its peer's fault. */
function isUndrained(response: ServerResponse): boolean {
  return response.writableEnded && ('stream' in response || response.socket !== null)
}

function cut(response: ServerResponse | Http2ServerResponse): void {
  if (!('stream' in response)) {
    response.socket?.destroy()
    return
  }
  response.stream.close(constants.NGHTTP2_CANCEL)
  // A peer that takes nothing does not take the reset either.
  response.stream.destroy()
}
