/**
 * The connection beneath a vendor's library: the library writes the request and reads the answer, where it goes and how
 * long it may take is ours, and what came back is at hand when the library says no more than that something failed.
 *
 * @module
 */
import { CloudError } from '../../core/cloud.ts'
import type { Target } from '../../core/target.ts'
import {
  type ConnectUpstream,
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  UpstreamError,
} from '../http-client.ts'

/** For one exchange. */
export interface Wire {
  /**
   * Sends it once.
   *
   * @throws {CloudError} `unreachable`
   */
  readonly ask: (request: HttpRequest) => Promise<HttpAnswer>
  /** The last answer. */
  readonly answer: () => HttpAnswer | undefined
  /** Why there is no answer: libraries wrap what their transport throws. */
  readonly failure: () => CloudError | undefined
}

export function createWire(client: HttpClient, signal: AbortSignal): Wire {
  let answer: HttpAnswer | undefined
  let failure: CloudError | undefined

  async function ask(request: HttpRequest): Promise<HttpAnswer> {
    try {
      // A second credential for one token does no harm, so a kept connection that is dead is no failure.
      answer = await client.request({ ...request, repeatable: true, signal })
      return answer
    } catch (error) {
      failure = unreachable(error)
      throw failure
    }
  }

  return { ask, answer: () => answer, failure: () => failure }
}

function unreachable(error: unknown): CloudError {
  if (!(error instanceof UpstreamError))
    return new CloudError('unreachable', 'the request failed', { code: 'internal' })
  const { message, code, status } = error
  return new CloudError('unreachable', message, { code, cause: error, ...(status !== undefined && { status }) })
}

/** Clients by target, so that connections are kept from one exchange to the next. */
export interface CloudClients {
  /** @param urls Where the target's requests go; these hosts may have any address, and there are no others. */
  readonly of: (target: Target, urls: readonly string[]) => HttpClient
  readonly close: () => Promise<void>
}

/** A thousand workloads that ask at once then wait for each other for some rounds of a cloud's answer. */
const connections = 64

export function createCloudClients(connect: ConnectUpstream): CloudClients {
  const clients = new Map<string, { readonly digest: string; readonly client: HttpClient }>()

  return {
    of({ name, digest, document: { ca_file: caFile } }, urls) {
      const known = clients.get(name)
      if (known?.digest === digest) return known.client
      // The client of the former configuration is left to its requests; its connections end when they are idle.
      const hosts = urls.map((url) => new URL(url).hostname)
      const client = connect({ hosts, connections, ...(caFile !== undefined && { caFile }) })
      clients.set(name, { digest, client })
      return client
    },
    async close() {
      const open = [...clients.values()]
      clients.clear()
      await Promise.all(open.map(({ client }) => client.close()))
    },
  }
}
