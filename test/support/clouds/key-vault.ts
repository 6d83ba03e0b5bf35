/**
 * A strict double of the secrets of an Azure Key Vault: it takes the tokens that the double of Entra gave, and no others.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import {
  type AnsweredFault,
  type CloudAnswer,
  type CloudServer,
  type CloudServerParts,
  type LoggedRequest,
  startCloudServer,
} from './cloud-server.ts'
import type { Entra } from './entra.ts'
import {
  type KeyVaultBody,
  type KeyVaultContext,
  type KeyVaultOperation,
  type KeyVaultProblem,
  keyVaultCallerRules,
  keyVaultInputRules,
  keyVaultStateRules,
} from './key-vault-rules.ts'
import {
  deleteKeyVaultSecret,
  findKeyVaultSecret,
  type KeyVaultSecret,
  type KeyVaultState,
  type KeyVaultVersion,
  retentionDays,
  setKeyVaultSecret,
} from './key-vault-state.ts'
import { firstBroken, namesOf } from './rules.ts'

export interface KeyVaultOptions {
  readonly authority?: CloudServerParts['authority']
  readonly now?: () => Date
  readonly tenant: string
  /** The tokens of Entra. */
  readonly entra: Pick<Entra, 'issued'>
}

export interface KeyVault extends CloudServer {
  readonly state: KeyVaultState
}

/** Every rule of this double. */
export const keyVaultRuleNames: readonly string[] = namesOf(keyVaultCallerRules, keyVaultInputRules, keyVaultStateRules)

export async function startKeyVault(options: KeyVaultOptions): Promise<KeyVault> {
  const { now = () => new Date(), tenant, entra } = options
  const state: KeyVaultState = { secrets: new Map(), grants: new Map(), settleSeconds: 0, purgeProtection: false }

  function respond(request: LoggedRequest): CloudAnswer {
    const context = readContext(request, { tenant, entra, state, now: now() })
    const broken = firstBroken([...keyVaultCallerRules, ...keyVaultInputRules, ...keyVaultStateRules], context)
    if (broken) return formatProblem(broken.problem, tenant, broken.rule)
    const made = operations[context.operation ?? 'get'](context, server.url)
    return { status: made === undefined ? 204 : 200, headers, body: made === undefined ? '' : JSON.stringify(made) }
  }

  const server = await startCloudServer({
    authority: options.authority,
    now,
    respond,
    failWith: (fault) => failWith(fault, tenant),
  })
  return { ...server, state }
}

const headers = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-cache',
  'x-ms-keyvault-region': 'westeurope',
}

function failWith(fault: AnsweredFault, tenant: string): CloudAnswer {
  if (fault.kind === 'unavailable') {
    const message = 'The service is unavailable.'
    return formatProblem({ status: fault.status ?? 503, code: 'ServiceUnavailable', message }, tenant)
  }
  const message = 'Request was not processed because too many requests were received.'
  const answer = formatProblem({ status: 429, code: 'Throttled', message }, tenant)
  const { retryAfterSeconds: seconds } = fault
  return seconds === undefined ? answer : { ...answer, headers: { ...answer.headers, 'retry-after': String(seconds) } }
}

/** A 401 says where tokens come from: the vendor's clients ask it first. */
function formatProblem(problem: KeyVaultProblem, tenant: string, rule?: string): CloudAnswer {
  const { status, code, message, innerCode } = problem
  const challenge = `Bearer authorization="https://login.microsoftonline.com/${tenant}", resource="https://vault.azure.net"`
  const error = { code, message, ...(innerCode !== undefined && { innererror: { code: innerCode } }) }
  return {
    status,
    headers: {
      ...headers,
      'x-ms-request-id': randomUUID(),
      ...(status === 401 && { 'www-authenticate': challenge }),
    },
    body: JSON.stringify({ error }),
    ...(rule !== undefined && { refusedBy: rule }),
  }
}

interface Held extends Pick<KeyVaultOptions, 'tenant' | 'entra'> {
  readonly state: KeyVaultState
  readonly now: Date
}

function readContext(request: LoggedRequest, { tenant, entra, state, now }: Held): KeyVaultContext {
  // The vendor's clients write a slash at the end where there is no version.
  const [collection = '', rawName = '', rest = '', ...more] = request.path.slice(1).replace(/\/$/, '').split('/')
  const name = decodeURIComponent(rawName)
  const bearer = (request.headers['authorization'] ?? '').replace(/^Bearer /, '')
  return {
    request,
    query: new URLSearchParams(request.search),
    vault: 'payments',
    tenant,
    token: entra.issued.find(({ accessToken }) => accessToken === bearer),
    operation: more.length > 0 ? undefined : routes[`${request.method} ${shapeOf(collection, name, rest)}`],
    name,
    version: rest,
    body: readBody(request.body),
    secret: findKeyVaultSecret(state, name, now),
    state,
    now,
  }
}

const routes: Readonly<Record<string, KeyVaultOperation>> = {
  'GET secrets': 'list',
  'GET secrets/name': 'get',
  'PUT secrets/name': 'set',
  'DELETE secrets/name': 'delete',
  'GET secrets/name/versions': 'versions',
  'GET secrets/name/version': 'get',
  'PATCH secrets/name/version': 'update',
  'GET deletedsecrets': 'list deleted',
  'GET deletedsecrets/name': 'get deleted',
  'DELETE deletedsecrets/name': 'purge',
  'POST deletedsecrets/name/recover': 'recover',
}

function shapeOf(collection: string, name: string, rest: string): string {
  if (name === '') return collection
  if (rest === '') return `${collection}/name`
  return `${collection}/name/${['versions', 'recover'].includes(rest) ? rest : 'version'}`
}

function readBody(text: string): KeyVaultBody | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

type Members = Readonly<Record<string, unknown>>

const secondsOf = (date: Date) => Math.floor(date.getTime() / 1000)

function itemOf(secret: KeyVaultSecret, version: KeyVaultVersion, id: string): Members {
  return {
    id,
    ...(version.contentType !== undefined && { contentType: version.contentType }),
    attributes: {
      enabled: version.enabled,
      created: secondsOf(version.createdAt),
      updated: secondsOf(version.updatedAt),
      recoveryLevel: 'Recoverable+Purgeable',
      recoverableDays: retentionDays,
    },
    ...(Object.keys(version.tags).length > 0 && { tags: version.tags }),
    ...(secret.deleted && {
      recoveryId: id.replace(/\/secrets\/([^/]+).*/, '/deletedsecrets/$1'),
      deletedDate: secondsOf(secret.deleted.at),
      scheduledPurgeDate: secondsOf(secret.deleted.purgeAt),
    }),
  }
}

function latestOf({ versions }: KeyVaultSecret): KeyVaultVersion {
  const latest = versions.at(-1)
  if (latest === undefined) throw new Error('the double holds a secret without a version')
  return latest
}

interface Page<Item> {
  readonly items: readonly Item[]
  readonly context: KeyVaultContext
  readonly origin: string
}

/** The token is a place in the list as it stands. */
function pageOf<Item>({ items, context, origin }: Page<Item>, show: (item: Item) => Members): Members {
  const { query, request } = context
  const size = Number(query.get('maxresults') ?? 25)
  const from = Number(Buffer.from(query.get('$skiptoken') ?? '', 'base64url').toString() || 0)
  const token = Buffer.from(String(from + size)).toString('base64url')
  const more = `${origin}${request.path}?api-version=${query.get('api-version')}&$skiptoken=${token}&maxresults=${size}`
  return {
    value: items.slice(from, from + size).map(show),
    nextLink: items.length > from + size ? more : null,
  }
}

function bundleOf({ secret, version }: KeyVaultContext, origin: string, found?: KeyVaultVersion): Members {
  if (!secret) throw new Error('the rules let a missing secret pass')
  const shown = found ?? secret.versions.find(({ id }) => id === version) ?? latestOf(secret)
  return { value: shown.value, ...itemOf(secret, shown, `${origin}/secrets/${secret.name}/${shown.id}`) }
}

/** Without the value. */
function deletedBundleOf(context: KeyVaultContext, origin: string): Members {
  const { value: _, ...members } = bundleOf(context, origin)
  return members
}

/** Neither deleted nor on the way to or from it. */
const isThere = ({ deleted, settledAt }: KeyVaultSecret, now: Date) => deleted === undefined && settledAt <= now

type Operate = (context: KeyVaultContext, origin: string) => Members | undefined

const operations: Readonly<Record<KeyVaultOperation, Operate>> = {
  set(context, origin) {
    const { state, name, now, body } = context
    const version = setKeyVaultSecret(state, name, now, {
      value: String(body?.value),
      ...changesOf(context),
    })
    return bundleOf({ ...context, secret: findKeyVaultSecret(state, name, now) }, origin, version)
  },
  get: (context, origin) => bundleOf(context, origin),
  update(context, origin) {
    const version = context.secret?.versions.find(({ id }) => id === context.version)
    if (version) Object.assign(version, changesOf(context), { updatedAt: context.now })
    const { value: _, ...members } = bundleOf(context, origin)
    return members
  },
  delete(context, origin) {
    if (context.secret) deleteKeyVaultSecret(context.state, context.secret, context.now)
    return deletedBundleOf(context, origin)
  },
  list(context, origin) {
    const items = [...context.state.secrets.values()].filter((secret) => isThere(secret, context.now))
    return pageOf({ items, context, origin }, (secret) =>
      itemOf(secret, latestOf(secret), `${origin}/secrets/${secret.name}`),
    )
  },
  versions(context, origin) {
    const { secret, now } = context
    // None, for a name that is not there: GetSecretVersionsNonExisting in the live tests of https://github.com/Azure/azure-sdk-for-net
    const versions = secret && isThere(secret, now) ? secret.versions : []
    // In no order that is documented.
    const items = versions.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    return pageOf({ items, context, origin }, (version) =>
      itemOf(secret as KeyVaultSecret, version, `${origin}/secrets/${secret?.name}/${version.id}`),
    )
  },
  'list deleted'(context, origin) {
    const items = [...context.state.secrets.values()].filter(
      ({ deleted, settledAt }) => deleted && settledAt <= context.now,
    )
    return pageOf({ items, context, origin }, (secret) =>
      itemOf(secret, latestOf(secret), `${origin}/secrets/${secret.name}`),
    )
  },
  'get deleted': deletedBundleOf,
  recover(context, origin) {
    const { secret, state, now } = context
    if (secret) {
      delete secret.deleted
      secret.settledAt = new Date(now.getTime() + state.settleSeconds * 1000)
    }
    return deletedBundleOf(context, origin)
  },
  purge({ state, name }) {
    state.secrets.delete(name.toLowerCase())
    return undefined
  },
}

/** What a set or an update says; what it does not say stays. */
function changesOf({ body }: KeyVaultContext): Partial<KeyVaultVersion> {
  return {
    ...(typeof body?.contentType === 'string' && { contentType: body.contentType }),
    ...(body?.tags !== undefined && { tags: body.tags as KeyVaultVersion['tags'] }),
    ...(body?.attributes?.enabled !== undefined && { enabled: body.attributes.enabled }),
  }
}
