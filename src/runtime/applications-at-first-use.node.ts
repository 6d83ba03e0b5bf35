/**
 * An application that is loaded with its first request. Those that come meanwhile wait for it.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export type Application = (request: IncomingMessage, response: ServerResponse, requestId: string) => void

/** @param failed Answers a request when the application could not be loaded, which the next one tries again. */
export function createAtFirstUse(
  load: () => Promise<Application>,
  failed: (error: unknown, response: ServerResponse, requestId: string) => void,
): Application {
  let loading: Promise<Application> | undefined
  let loaded: Application | undefined

  async function answerLater(...[request, response, requestId]: Parameters<Application>): Promise<void> {
    try {
      loading ??= load()
      loaded = await loading
    } catch (error) {
      loading = undefined
      failed(error, response, requestId)
      return
    }
    if (!request.destroyed) loaded(request, response, requestId)
  }

  return (request, response, requestId) => {
    if (loaded) loaded(request, response, requestId)
    else void answerLater(request, response, requestId)
  }
}
