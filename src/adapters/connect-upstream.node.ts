/**
 * Clients for upstreams on Node: own authorities from a file, and only addresses that the place allows.
 *
 * @module
 */
import { createAddressRule } from './address-rule.ts'
import { createHostTurns } from './host-turns.ts'
import {
  type ConnectUpstream,
  createHttpClient,
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  UpstreamError,
  type UpstreamPlace,
} from './http-client.ts'
import { createHttpsFetch } from './https-fetch.node.ts'
import { createWatchedFile, type FileReader, type WatchedFile } from './watched-file.ts'

export interface ConnectUpstreamDeps {
  readonly files: FileReader
  readonly monotonicMs: () => number
  /** 5000 by default. */
  readonly deadlineMs?: number
  /** 256 KiB by default. */
  readonly maxBytes?: number
}

/** A changed file of authorities holds from the next request on. */
export function createConnectUpstream(deps: ConnectUpstreamDeps): ConnectUpstream {
  return (place) => {
    const caFile = place.caFile === undefined ? undefined : createWatchedFile(place.caFile, deps)
    let held: { readonly ca: string | undefined; readonly client: HttpClient } | undefined

    async function request(wanted: HttpRequest): Promise<HttpAnswer> {
      const ca = caFile === undefined ? undefined : await readAuthorities(caFile)
      // The former one is left to its requests; its connections end by themselves when they are idle.
      if (held === undefined || held.ca !== ca) held = { ca, client: connect(place, ca, deps) }
      return held.client.request(wanted)
    }

    return { request, close: async () => held?.client.close() }
  }
}

function connect(place: UpstreamPlace, ca: string | undefined, deps: ConnectUpstreamDeps): HttpClient {
  const { connections, maxBytes = deps.maxBytes } = place
  const fetch = createHttpsFetch({
    allowAddress: createAddressRule(place),
    ...(ca === undefined ? {} : { ca }),
    ...(connections === undefined ? {} : { connections }),
  })
  return createHttpClient({
    fetch,
    close: fetch.close,
    ...(connections === undefined ? {} : { turns: createHostTurns(connections) }),
    ...(deps.deadlineMs === undefined ? {} : { deadlineMs: deps.deadlineMs }),
    ...(maxBytes === undefined ? {} : { maxBytes }),
  })
}

async function readAuthorities(caFile: WatchedFile): Promise<string> {
  try {
    return await caFile.read()
  } catch (cause) {
    throw new UpstreamError('tls', 'ca_file could not be read', { cause })
  }
}
