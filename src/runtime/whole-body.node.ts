/**
 * Whether a body that ended is all that the caller meant to send.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { constants, type Http2ServerRequest } from 'node:http2'

/**
 * To be asked at the end of the body. HTTP/1.1 ends none that was cut off. HTTP/2 ends one that was reset as it ends a
 * whole one, and what has become of its stream is known a turn later.
 */
export function isWholeBody(request: IncomingMessage | Http2ServerRequest): boolean | Promise<boolean> {
  if (!('stream' in request)) return !request.aborted
  const { stream } = request
  return new Promise((resolve) => {
    setImmediate(() => resolve(stream.rstCode === constants.NGHTTP2_NO_ERROR))
  })
}
