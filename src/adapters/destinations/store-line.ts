/**
 * The connection to a store of secrets: each request waits for its turn, has a fresh credential, and what keeps it from an
 * answer is an error for operators.
 *
 * @module
 */
import type { CloudCredential } from '../../core/cloud.ts'
import type { DestinationDocument } from '../../core/config-destinations.ts'
import { destinationRules } from '../../core/destination-rules.ts'
import { DestinationError, type DestinationTurn, type OpenedDestination } from '../../core/secret-destination.ts'
import {
  type ConnectUpstream,
  type HttpAnswer,
  type HttpMethod,
  type HttpRequest,
  UpstreamError,
} from '../http-client.ts'

export interface StoreLine {
  /** Waits for its turn; before each request. */
  readonly begin: (kind: 'read' | 'write', turn: DestinationTurn) => Promise<CloudCredential>
  /**
   * Sends it once.
   *
   * @throws {DestinationError} `unreachable`
   */
  readonly send: (request: HttpRequest) => Promise<HttpAnswer>
  readonly close: () => Promise<void>
}

/** A page of a listing holds what others wrote into tags and annotations as well, up to 25 kB a secret. */
const maxBytes = 8 * 1024 * 1024

/** @param url Where requests go; its host may have any address, and there is no other. */
export function createStoreLine(destination: OpenedDestination, connect: ConnectUpstream, url: string): StoreLine {
  const { ca_file: caFile, type, concurrency }: DestinationDocument = destination.document
  const client = connect({
    hosts: [new URL(url).hostname],
    connections: concurrency ?? destinationRules[type].pace.concurrency,
    maxBytes,
    ...(caFile !== undefined && { caFile }),
  })

  return {
    async begin(kind, { pace, signal }) {
      await pace(kind)
      return destination.credential(signal)
    },
    async send(request) {
      try {
        return await client.request(request)
      } catch (error) {
        throw unreachable(error)
      }
    },
    close: client.close,
  }
}

function unreachable(error: unknown): DestinationError {
  if (!(error instanceof UpstreamError)) {
    return new DestinationError('unreachable', 'the request failed', { code: 'internal' })
  }
  const { message, code, status } = error
  return new DestinationError('unreachable', message, { code, cause: error, ...(status !== undefined && { status }) })
}

/** A request in JSON under a bearer token, as Azure and Google take them. */
export interface BearerRequest {
  readonly method?: HttpMethod
  readonly url: string
  readonly body?: Readonly<Record<string, unknown>>
  /** What an answer may repeat and nobody is to see. */
  readonly secrets?: readonly string[]
}

export interface BearerAnswer {
  readonly answer: HttpAnswer
  /** The token as well. */
  readonly secrets: readonly string[]
}

/** @throws {DestinationError} `unreachable` */
export async function askWithBearer(
  line: StoreLine,
  { method = 'GET', url, body, secrets = [] }: BearerRequest,
  turn: DestinationTurn,
): Promise<BearerAnswer> {
  const credential = await line.begin(method === 'GET' ? 'read' : 'write', turn)
  if (credential.type === 'aws') throw new TypeError('a credential of another cloud')
  const { accessToken: bearer } = credential
  const answer = await line.send({
    url,
    method,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${bearer}`,
      'user-agent': 'apostille',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: turn.signal,
  })
  return { answer, secrets: [...secrets, bearer] }
}
