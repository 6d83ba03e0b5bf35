/**
 * A strict double of Google Secret Manager as REST: it takes the tokens that the double of Google's STS gave, and no
 * others.
 *
 * @module
 */
import {
  type AnsweredFault,
  type CloudAnswer,
  type CloudServer,
  type CloudServerParts,
  type LoggedRequest,
  startCloudServer,
} from './cloud-server.ts'
import { describeCall, type GoogleCall } from './google-description.ts'
import { type GoogleApiProblem, principalsOf } from './google-project.ts'
import {
  crc32c,
  type GoogleCaller,
  type GoogleSecretsContext,
  googleSecretsCallerRules,
  googleSecretsInputRules,
  googleSecretsStateRules,
} from './google-secrets-rules.ts'
import {
  addGoogleVersion,
  canonicalName,
  createGoogleSecret,
  type GoogleSecret,
  type GoogleSecretsState,
  type GoogleSecretVersion,
  makeEtag,
  type Texts,
} from './google-secrets-state.ts'
import type { GoogleSts } from './google-sts.ts'
import { firstBroken, namesOf } from './rules.ts'

export interface GoogleSecretsOptions {
  readonly authority?: CloudServerParts['authority']
  readonly now?: () => Date
  readonly project: string
  readonly projectNumber: string
  /** The tokens of STS and IAM Credentials. */
  readonly sts: Pick<GoogleSts, 'federatedTokens' | 'serviceAccountTokens'>
}

export interface GoogleSecretManager extends CloudServer {
  readonly state: GoogleSecretsState
}

/** Every rule of this double. */
export const googleSecretsRuleNames: readonly string[] = namesOf(
  googleSecretsCallerRules,
  googleSecretsInputRules,
  googleSecretsStateRules,
)

export async function startGoogleSecretManager(options: GoogleSecretsOptions): Promise<GoogleSecretManager> {
  const { now = () => new Date(), project, projectNumber, sts } = options
  const state: GoogleSecretsState = {
    project,
    projectNumber,
    secrets: new Map(),
    bindings: [],
    writesPerMinute: 600,
    writtenAt: [],
  }

  function respond(request: LoggedRequest): CloudAnswer {
    const context = readContext(request, state, callerOf(request, sts), now())
    const broken = firstBroken(
      [...googleSecretsCallerRules, ...googleSecretsInputRules, ...googleSecretsStateRules],
      context,
    )
    if (broken) return formatProblem(broken.problem, broken.rule)
    if (request.method !== 'GET') state.writtenAt.push(context.now)
    return { status: 200, headers, body: JSON.stringify(operations[context.call?.rpc ?? '']?.(context) ?? {}) }
  }

  const server = await startCloudServer({ authority: options.authority, now, respond, failWith })
  return { ...server, state }
}

const headers = { 'content-type': 'application/json; charset=UTF-8', 'cache-control': 'private' }

function failWith(fault: AnsweredFault): CloudAnswer {
  if (fault.kind === 'unavailable') {
    const { status = 503 } = fault
    const code = status === 503 ? 'UNAVAILABLE' : 'INTERNAL'
    return formatProblem({ status, code, message: 'The service is currently unavailable.' })
  }
  const answer = formatProblem({ status: 429, code: 'RESOURCE_EXHAUSTED', message: 'Quota exceeded.' })
  const { retryAfterSeconds: seconds } = fault
  return seconds === undefined ? answer : { ...answer, headers: { ...answer.headers, 'retry-after': String(seconds) } }
}

function formatProblem({ status, code, message }: GoogleApiProblem, rule?: string): CloudAnswer {
  const body = JSON.stringify({ error: { code: status, message, status: code } })
  return { status, headers, body, ...(rule !== undefined && { refusedBy: rule }) }
}

function callerOf({ headers: given }: LoggedRequest, sts: GoogleSecretsOptions['sts']): GoogleCaller | undefined {
  const bearer = (given['authorization'] ?? '').replace(/^Bearer /, '')
  const federated = sts.federatedTokens.find(({ accessToken }) => accessToken === bearer)
  if (federated) return { ...federated, principals: principalsOf(federated) }
  const acting = sts.serviceAccountTokens.find(({ accessToken }) => accessToken === bearer)
  return acting && { ...acting, principals: [`serviceAccount:${acting.email}`] }
}

function readContext(
  request: LoggedRequest,
  state: GoogleSecretsState,
  caller: GoogleCaller | undefined,
  now: Date,
): GoogleSecretsContext {
  const body = readJson(request.body)
  const call = describeCall(request.method, request.path, request.search, body === 'none' ? undefined : body)
  forgetOldWrites(state, now)
  const secret = findSecret(state, call)
  return {
    authorization: request.headers['authorization'],
    caller,
    call,
    isJson: body !== undefined,
    state,
    secret,
    version: findVersion(secret, call?.resource),
    now,
  }
}

/** `none` where there is nothing, undefined where it is no object. */
function readJson(text: string): object | 'none' | undefined {
  if (text === '') return 'none'
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function forgetOldWrites({ writtenAt }: GoogleSecretsState, now: Date): void {
  while (writtenAt[0] !== undefined && now.getTime() - writtenAt[0].getTime() >= 60_000) writtenAt.shift()
}

function findSecret(state: GoogleSecretsState, call: GoogleCall | undefined): GoogleSecret | undefined {
  if (call === undefined) return undefined
  const { rpc, resource, message } = call
  const named = rpc === 'CreateSecret' ? `${resource}/secrets/${String(message['secretId'])}` : resource
  return state.secrets.get(canonicalName(state, named).replace(/\/versions\/.*$/, ''))
}

function findVersion(secret: GoogleSecret | undefined, resource = ''): GoogleSecretVersion | undefined {
  const [, id] = /\/versions\/([^/]+)$/.exec(resource) ?? []
  if (id === 'latest') return secret?.versions.at(-1)
  return secret?.versions.find(({ number }) => String(number) === id)
}

type Members = Readonly<Record<string, unknown>>

const omitEmpty = (texts: Texts) => (Object.keys(texts).length > 0 ? texts : undefined)

function showSecret(secret: GoogleSecret): Members {
  return {
    name: secret.name,
    replication: secret.replication,
    customerManagedEncryption: secret.customerManagedEncryption,
    createTime: secret.createdAt.toISOString(),
    labels: omitEmpty(secret.labels),
    annotations: omitEmpty(secret.annotations),
    etag: secret.etag,
  }
}

function showVersion({ name }: GoogleSecret, { number, state, createdAt, etag }: GoogleSecretVersion): Members {
  return { name: `${name}/versions/${number}`, createTime: createdAt.toISOString(), state, etag }
}

function found({ secret }: GoogleSecretsContext): GoogleSecret {
  if (!secret) throw new Error('the rules let a missing secret pass')
  return secret
}

const given = ({ call }: GoogleSecretsContext): Partial<GoogleSecret> => (call?.message['secret'] ?? {}) as GoogleSecret

/** Newest first. The token names the last one that was shown. */
function pageOf<Item>(context: GoogleSecretsContext, items: readonly Item[], keyOf: (item: Item) => string) {
  const message: Members = context.call?.message ?? {}
  const asked = Number(message['pageSize'] ?? 0)
  const size = asked === 0 ? 100 : Math.min(asked, 25_000)
  const after = String(message['pageToken'] ?? '').replace(/^after-/, '')
  const from = after === '' ? 0 : items.findIndex((item) => keyOf(item) === after) + 1
  const shown = items.slice(from, from + size)
  const last = shown.at(-1)
  const isLast = items.length <= from + size || last === undefined
  return { shown, nextPageToken: isLast ? undefined : `after-${keyOf(last)}`, totalSize: items.length }
}

/** The path is that of a version. */
function changeState(context: GoogleSecretsContext, state: GoogleSecretVersion['state']): Members {
  const { version } = context
  if (!version) throw new Error('the rules let a missing version pass')
  version.state = state
  version.etag = makeEtag()
  if (state === 'DESTROYED') version.data = undefined
  return showVersion(found(context), version)
}

const operations: Readonly<Record<string, (context: GoogleSecretsContext) => Members>> = {
  ListSecrets(context) {
    const { call, state } = context
    const within = `${canonicalName(state, `${call?.resource}/`)}secrets/`
    const all = [...state.secrets.values()].filter(({ name }) => name.startsWith(within)).reverse()
    const { shown, nextPageToken, totalSize } = pageOf(context, all, ({ name }) => name)
    return { secrets: shown.length > 0 ? shown.map(showSecret) : undefined, nextPageToken, totalSize }
  },
  CreateSecret(context) {
    const { call, state, now } = context
    const { replication, customerManagedEncryption, labels = {}, annotations = {} } = given(context)
    const name = `${call?.resource}/secrets/${String(call?.message['secretId'])}`
    return showSecret(
      createGoogleSecret(state, name, now, { replication, customerManagedEncryption, labels, annotations }),
    )
  },
  GetSecret: (context) => showSecret(found(context)),
  UpdateSecret(context) {
    const secret = found(context)
    const changes = given(context)
    const paths = String(context.call?.message['updateMask']).split(',')
    if (paths.includes('labels')) secret.labels = changes.labels ?? {}
    if (paths.includes('annotations')) secret.annotations = changes.annotations ?? {}
    if (paths.some((path) => /^customer_?managed_?encryption/i.test(path))) {
      secret.customerManagedEncryption = changes.customerManagedEncryption
    }
    secret.etag = makeEtag()
    return showSecret(secret)
  },
  DeleteSecret(context) {
    context.state.secrets.delete(found(context).name)
    return {}
  },
  AddSecretVersion(context) {
    const secret = found(context)
    const { data = '' } = (context.call?.message['payload'] ?? {}) as { readonly data?: string }
    return showVersion(secret, addGoogleVersion(secret, Buffer.from(data, 'base64'), context.now))
  },
  ListSecretVersions(context) {
    const secret = found(context)
    const { shown, nextPageToken, totalSize } = pageOf(context, secret.versions.toReversed(), ({ number }) =>
      String(number),
    )
    const versions = shown.length > 0 ? shown.map((version) => showVersion(secret, version)) : undefined
    return { versions, nextPageToken, totalSize }
  },
  GetSecretVersion: (context) => showVersion(found(context), context.version ?? found(context).versions[0] ?? never()),
  AccessSecretVersion(context) {
    const { version } = context
    const data = version?.data ?? never()
    const payload = { data: data.toString('base64'), dataCrc32c: String(crc32c(data)) }
    return { name: `${found(context).name}/versions/${version?.number}`, payload }
  },
  EnableSecretVersion: (context) => changeState(context, 'ENABLED'),
  DisableSecretVersion: (context) => changeState(context, 'DISABLED'),
  DestroySecretVersion: (context) => changeState(context, 'DESTROYED'),
}

function never(): never {
  throw new Error('the rules let something missing pass')
}
