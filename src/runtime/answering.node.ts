/**
 * The requests that keep the process itself busy: begun, whole, and not answered yet.
 *
 * What waits for its peer is none of them, be it a body that does not come or an answer that is not taken: a handful of
 * connections could otherwise fill any limit and keep everybody else out.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest } from 'node:http2'
import { createRoster, type RosterEntry } from './roster.ts'

export interface Answering {
  /** From here on the request counts, as soon as its body was read, until its answer was given to Node. */
  readonly begin: (request: IncomingMessage, response: ServerResponse) => void
  readonly count: () => number
}

/**
 * @param maxUnread Requests whose body is not whole, each of which may hold the largest body that is read. The oldest
 *   one is cut off for the next one: honest bodies arrive within moments. Default 4,000.
 */
export function createAnswering(maxUnread = 4_000): Answering {
  const unread = createRoster<IncomingMessage>()
  const endings = new WeakMap<ServerResponse, () => void>()
  let count = 0

  function awaitBody(request: IncomingMessage): RosterEntry<IncomingMessage> {
    const entry = unread.add(request)
    const oldest = unread.size() > maxUnread ? unread.oldest() : undefined
    const late = oldest?.item
    if (oldest && late) {
      unread.delete(oldest)
      cutOff(late)
    }
    return entry
  }

  /**
   * The `end` of all responses. One for each, a closure as a property of the response, has V8 keep response and request
   * until its next full collection.
   */
  function endAnswer(this: ServerResponse, ...given: unknown[]): ServerResponse {
    endings.get(this)?.()
    return Reflect.apply(Object.getPrototypeOf(this).end, this, given)
  }

  function begin(request: IncomingMessage, response: ServerResponse): void {
    let counted = false
    let over = false
    let entry: RosterEntry<IncomingMessage> | undefined
    const whole = () => {
      if (entry) unread.delete(entry)
      if (over || counted) return
      counted = true
      count += 1
    }
    const done = () => {
      if (over) return
      over = true
      if (entry) unread.delete(entry)
      if (counted) count -= 1
    }
    // Of HTTP/2 `finish` comes when the peer has taken the answer, and of pipelined requests even later.
    endings.set(response, done)
    response.end = endAnswer
    response.on('close', done)
    if (hasBody(request)) {
      request.on('end', whole)
      entry = awaitBody(request)
    } else whole()
  }

  return { begin, count: () => count }
}

function hasBody(request: IncomingMessage | Http2ServerRequest): boolean {
  if ('stream' in request) return !request.stream.endAfterHeaders
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
  return encoding !== undefined || Number(length) > 0
}

function cutOff(request: IncomingMessage | Http2ServerRequest): void {
  if ('stream' in request) request.stream.close(constants.NGHTTP2_CANCEL)
  else request.destroy()
}
