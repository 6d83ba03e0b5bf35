/**
 * Secrets Manager's library over our own connection: it writes and signs requests and reads answers; where they go, how
 * long they take and when they are tried again is ours.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import {
  type $Command,
  SecretsManagerClient,
  type SecretsManagerClientResolvedConfig,
  SecretsManagerServiceException,
  type ServiceInputTypes,
  type ServiceOutputTypes,
} from '@aws-sdk/client-secrets-manager'
import type { AwsCredential, CloudCredential } from '../../core/cloud.ts'
import { DestinationError, type DestinationTurn } from '../../core/secret-destination.ts'
import { cleanId } from '../exchangers/cloud-refusal.ts'
import type { HttpAnswer } from '../http-client.ts'
import type { StoreLine } from './store-line.ts'
import { buildStoreError, buildUnreadError, type StoreFix } from './store-refusal.ts'

type AwsCommand<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = $Command<
  Input,
  Output,
  SecretsManagerClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
>

/** For one call, or the pages of one. */
export interface AwsTurn {
  readonly turn: DestinationTurn
  /** What an answer may repeat and nobody is to see. */
  readonly secrets?: readonly string[]
}

export interface AwsSecretsLine {
  /** @throws {DestinationError} */
  readonly ask: <Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    kind: 'read' | 'write',
    command: AwsCommand<Input, Output>,
    turn: AwsTurn,
  ) => Promise<Output>
  readonly close: () => Promise<void>
}

/** What the client hands on to the connection as it is. */
interface SendOptions {
  readonly abortSignal?: AbortSignal
  readonly exchange: Exchange
}

interface Exchange {
  readonly signal: AbortSignal
  answer?: HttpAnswer
  failure?: DestinationError
}

export interface AwsPlace {
  readonly region: string
  readonly endpoint: string
}

export function createAwsSecretsLine(place: AwsPlace, line: StoreLine, now: () => Date): AwsSecretsLine {
  let held: { readonly id: string; readonly client: SecretsManagerClient } | undefined

  /** One for each credential: to make it costs more than a request. */
  function clientFor(credential: AwsCredential): SecretsManagerClient {
    if (held?.id !== credential.accessKeyId) {
      held = { id: credential.accessKeyId, client: createClient(place, credential, line) }
    }
    return held.client
  }

  const ask: AwsSecretsLine['ask'] = async (kind, command, { turn, secrets = [] }) => {
    const credential = requireAws(await line.begin(kind, turn))
    const client = clientFor(credential)
    const options: SendOptions = { exchange: { signal: turn.signal } }
    try {
      return await client.send(command, options)
    } catch (error) {
      // Where a signature does not match, AWS repeats what was signed, the session token included.
      const { secretAccessKey, sessionToken } = credential
      throw translate(error, options.exchange, [...secrets, secretAccessKey, sessionToken], now())
    }
  }

  return { ask, close: line.close }
}

function requireAws(credential: CloudCredential): AwsCredential {
  if (credential.type !== 'aws') throw new TypeError('a credential of another cloud')
  return credential
}

/**
 * Everything is said that the library would otherwise look for in the environment, in profiles and at metadata services.
 */
function createClient({ region, endpoint }: AwsPlace, credential: AwsCredential, line: StoreLine) {
  const { accessKeyId, secretAccessKey, sessionToken } = credential
  const requestHandler = {
    handle: async (request: LibraryRequest, options: unknown) => ({
      response: await send(request, endpoint, (options as SendOptions).exchange, line),
    }),
  }
  return new SecretsManagerClient({
    region,
    endpoint,
    credentials: { accessKeyId, secretAccessKey, sessionToken },
    requestHandler,
    streamCollector: async (body: unknown) => body as Uint8Array,
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'standard',
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    authSchemePreference: ['aws.auth#sigv4'],
    userAgentAppId: async () => undefined,
    defaultUserAgentProvider: async () => [['apostille', '']],
  })
}

interface LibraryRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** Of the library's headers those that it signed, and the signature; the connection sets `host` and the length itself. */
async function send({ headers, body }: LibraryRequest, endpoint: string, exchange: Exchange, line: StoreLine) {
  const signed = /SignedHeaders=([^,]+)/.exec(headers['authorization'] ?? '')?.[1]?.split(';') ?? []
  const kept = [...signed, 'authorization'].filter((name) => name !== 'host' && name !== 'content-length')
  try {
    exchange.answer = await line.send({
      url: `${endpoint.replace(/\/$/, '')}/`,
      method: 'POST',
      headers: { ...Object.fromEntries(kept.map((name) => [name, headers[name] ?? ''])), 'user-agent': 'apostille' },
      body: new TextDecoder().decode(body as Uint8Array),
      // Each write has a token, or comes to the same when it is done twice.
      repeatable: true,
      signal: exchange.signal,
    })
  } catch (error) {
    if (error instanceof DestinationError) exchange.failure = error
    throw error
  }
  const { status, text } = exchange.answer
  return { statusCode: status, headers: Object.fromEntries(exchange.answer.headers), body: Buffer.from(text) }
}

/** What the library throws may hold the whole answer, and is no cause to keep. */
function translate(error: unknown, { answer, failure }: Exchange, secrets: readonly string[], now: Date) {
  if (answer === undefined) return failure ?? new DestinationError('unreachable', 'no request was made', internal)
  if (!(error instanceof SecretsManagerServiceException) || answer.status < 400 || !isCode(error.name)) {
    return buildUnreadError('it answered something that is no answer of Secrets Manager', answer, now)
  }
  const requestId = requestIdOf(answer)
  return buildStoreError({ code: error.name, text: error.message, requestId }, { answer, fixes, secrets, now })
}

const internal = { code: 'internal' }

/** The library calls what it does not understand by the name of its own error class, or not at all. */
function isCode(name: string): boolean {
  return /^[A-Z][A-Za-z]{2,63}$/.test(name) && name !== 'Unknown' && name !== 'UnknownError' && name !== 'Error'
}

export function requestIdOf(answer: Pick<HttpAnswer, 'headers'>): string | undefined {
  return cleanId(answer.headers.get('x-amzn-requestid') ?? undefined)
}

const credentialRefused = (code: string): StoreFix => ({
  code,
  kind: 'forbidden',
  fix: "the credential of the target is not taken: compare the clock of this host, the role's session and the region",
})
const throttled = (code: string): StoreFix => ({
  code,
  kind: 'throttled',
  fix: 'AWS limits the requests of an account and region: set `writes_per_second` and `reads_per_second` lower',
})

const fixes: readonly StoreFix[] = [
  {
    code: 'AccessDeniedException',
    says: /KMS/i,
    kind: 'forbidden',
    fix: "allow kms:GenerateDataKey and kms:Decrypt on the key to the target's role, in its policy and in the key's",
  },
  {
    code: 'AccessDeniedException',
    says: /no session policy allows the (\w+:\w+)/,
    kind: 'forbidden',
    fix: "allow $1 in the target's session_policy",
  },
  {
    code: 'AccessDeniedException',
    says: /perform: (\w+:\w+)/,
    kind: 'forbidden',
    fix: "allow $1 on the secret to the target's role",
  },
  { code: 'AccessDeniedException', kind: 'forbidden', fix: "the target's role may not" },
  credentialRefused('ExpiredTokenException'),
  credentialRefused('UnrecognizedClientException'),
  credentialRefused('InvalidSignatureException'),
  credentialRefused('IncompleteSignatureException'),
  credentialRefused('MissingAuthenticationTokenException'),
  credentialRefused('InvalidClientTokenId'),
  {
    code: 'InvalidRequestException',
    says: /scheduled for deletion|marked for deletion/i,
    kind: 'busy',
    fix: 'a secret of that name is being deleted',
  },
  {
    code: 'InvalidRequestException',
    says: /replica/i,
    kind: 'refused',
    fix: 'the secret is a replica here, or has replicas: sync to its primary region',
  },
  {
    code: 'ResourceExistsException',
    kind: 'conflict',
    fix: 'somebody else wrote at the same time',
  },
  {
    code: 'LimitExceededException',
    says: /version/i,
    // Of this secret alone, for hours: the others are not to wait for it.
    kind: 'refused',
    fix: 'AWS keeps each version for a day and 100 at most: the secret changes too often, and the next runs try it again',
  },
  {
    code: 'LimitExceededException',
    kind: 'refused',
    fix: 'a quota of AWS is reached: tags, or secrets of the account',
  },
  { code: 'DecryptionFailure', kind: 'forbidden', fix: 'the KMS key of the secret can not be used: see its policy' },
  { code: 'EncryptionFailure', kind: 'forbidden', fix: 'the KMS key of the secret can not be used: see its policy' },
  { code: 'InternalServiceError', kind: 'unreachable', fix: 'AWS calls this a passing failure' },
  { code: 'ResourceNotFoundException', kind: 'conflict', fix: 'somebody else removed it at the same time' },
  throttled('ThrottlingException'),
  throttled('Throttling'),
  throttled('TooManyRequestsException'),
  throttled('RequestLimitExceeded'),
]
