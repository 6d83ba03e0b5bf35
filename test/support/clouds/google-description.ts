/**
 * The description of Secret Manager that Google's own client is generated from: which requests there are, and which
 * members they may have.
 *
 * @see {@link https://protobuf.dev/programming-guides/json/ ProtoJSON}
 * @module
 */
import { createRequire } from 'node:module'

interface Field {
  readonly type: string
  readonly rule?: 'repeated'
  readonly keyType?: string
}

interface Described {
  readonly fields?: Readonly<Record<string, Field>>
  readonly values?: Readonly<Record<string, number>>
  readonly nested?: Readonly<Record<string, Described>>
  readonly methods?: Readonly<Record<string, Method>>
}

interface Method {
  readonly requestType: string
  readonly parsedOptions: readonly Readonly<Record<string, unknown>>[]
}

type Binding = Readonly<Record<string, string>> & { readonly body?: string }

const load = createRequire(import.meta.url)
const root = load('@google-cloud/secret-manager/build/protos/protos.json') as Described
const v1 = ['google', 'cloud', 'secretmanager', 'v1'].reduce<Described>((at, name) => at.nested?.[name] ?? {}, root)
const types = v1.nested ?? {}

interface Route {
  readonly rpc: string
  readonly requestType: string
  readonly method: string
  readonly pattern: RegExp
  /** Dotted path of the member that the path names. */
  readonly named: string
  /** Member that the body is; `*` for all. */
  readonly body: string | undefined
}

const routes: readonly Route[] = Object.entries(types['SecretManagerService']?.methods ?? {}).flatMap(
  ([rpc, { requestType, parsedOptions }]) =>
    bindingsOf(parsedOptions).map((binding) => ({ rpc, requestType, ...routeOf(binding) })),
)

function bindingsOf(options: Method['parsedOptions']): readonly Binding[] {
  const http = options
    .map((option) => option['(google.api.http)'] as Binding | undefined)
    .filter((one) => one !== undefined)
  return http.flatMap((binding) => {
    const more = (binding['additional_bindings'] ?? []) as unknown as Binding | readonly Binding[]
    return [binding, ...(Array.isArray(more) ? more : [more as Binding])]
  })
}

function routeOf(binding: Binding) {
  const method = ['get', 'post', 'patch', 'delete'].find((name) => name in binding) ?? ''
  const [, head = '', named = '', pattern = '', tail = ''] =
    /^(.*)\{([\w.]+)=([^}]+)\}(.*)$/.exec(binding[method] ?? '') ?? []
  const source = pattern.replaceAll('*', '[^/:]+')
  return {
    method: method.toUpperCase(),
    pattern: new RegExp(`^${head}(${source})${tail}$`),
    named,
    body: binding.body,
  }
}

export interface GoogleCall {
  readonly rpc: string
  /** The resource that the path names. */
  readonly resource: string
  /** Members of the request message, from path, query and body. */
  readonly message: Readonly<Record<string, unknown>>
  /** What no member of the message is. */
  readonly wrong: string | undefined
}

/** Of every request of Google's APIs. */
const systemParameters = new Set([
  '$alt',
  'alt',
  '$prettyPrint',
  'prettyPrint',
  '$fields',
  'fields',
  'key',
  'quotaUser',
])

/** Undefined where nothing of the service is called so. */
export function describeCall(method: string, path: string, search: string, body: unknown): GoogleCall | undefined {
  for (const route of routes) {
    const [, resource] = (route.method === method && route.pattern.exec(decodeURIComponent(path))) || []
    if (resource === undefined) continue
    const message = { ...readQuery(route, search), ...readBody(route, body) }
    const [outer = '', inner] = route.named.split('.')
    const named = inner === undefined ? resource : { ...(message[outer] as object | undefined), [inner]: resource }
    const whole = { ...message, [outer]: named }
    return { rpc: route.rpc, resource, message: whole, wrong: whyWrong(route.requestType, whole, '') }
  }
  return undefined
}

function readQuery({ requestType }: Route, search: string): Readonly<Record<string, unknown>> {
  const given = [...new URLSearchParams(search)].filter(([name]) => !systemParameters.has(name))
  return Object.fromEntries(
    given.map(([name, value]) => [name, types[requestType]?.fields?.[name]?.type === 'int32' ? Number(value) : value]),
  )
}

function readBody({ body }: Route, given: unknown): Readonly<Record<string, unknown>> {
  if (body === undefined || given === undefined) return {}
  return body === '*' ? (given as Readonly<Record<string, unknown>>) : { [body]: given }
}

/** In the words of Google; undefined where nothing is. */
function whyWrong(type: string, value: unknown, at: string): string | undefined {
  const scalar = scalars[type]
  if (scalar) return scalar(value) ? undefined : `Invalid value at '${at}' (${type})`
  const described = find(type)
  if (described?.values) {
    return typeof value === 'string' && value in described.values ? undefined : `Invalid value at '${at}' (${type})`
  }
  if (!isObject(value)) return `Invalid value at '${at}' (${type})`
  for (const [name, member] of Object.entries(value)) {
    const field = described?.fields?.[name]
    if (!field) return `Invalid JSON payload received. Unknown name "${name}" at '${at}': Cannot find field.`
    const wrong = whyWrongMember(field, member, at === '' ? name : `${at}.${name}`)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function whyWrongMember({ type, rule, keyType }: Field, member: unknown, at: string): string | undefined {
  if (rule === 'repeated') {
    return Array.isArray(member)
      ? firstOf(member, (item) => whyWrong(type, item, at))
      : `Invalid value at '${at}' (list)`
  }
  if (keyType === undefined) return whyWrong(type, member, at)
  return isObject(member)
    ? firstOf(Object.values(member), (item) => whyWrong(type, item, at))
    : `Invalid value at '${at}' (map)`
}

function firstOf(items: readonly unknown[], why: (item: unknown) => string | undefined): string | undefined {
  for (const item of items) {
    const wrong = why(item)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** Those that are nested stand by their own name. */
function find(type: string): Described | undefined {
  const [last = ''] = type.split('.').slice(-1)
  const inside = Object.values(types).flatMap(({ nested }) => (nested?.[last] ? [nested[last]] : []))
  const deeper = Object.values(types).flatMap(({ nested }) =>
    Object.values(nested ?? {}).flatMap((one) => (one.nested?.[last] ? [one.nested[last]] : [])),
  )
  return types[last] ?? inside[0] ?? deeper[0]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const isText = (value: unknown) => typeof value === 'string'
const isWhole = (value: unknown) => Number.isSafeInteger(value) || (isText(value) && /^-?\d{1,19}$/.test(String(value)))

const scalars: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: isText,
  bool: (value) => typeof value === 'boolean',
  int32: (value) => Number.isSafeInteger(value),
  int64: isWhole,
  bytes: (value) => isText(value) && /^[\w+/-]*={0,2}$/.test(String(value)),
  'google.protobuf.FieldMask': isText,
  'google.protobuf.Duration': (value) => isText(value) && /^-?\d+(\.\d+)?s$/.test(String(value)),
  'google.protobuf.Timestamp': (value) => isText(value) && !Number.isNaN(Date.parse(String(value))),
}

/** Members of a message of the service. */
export function membersOf(type: string): ReadonlySet<string> {
  return new Set(Object.keys(types[type]?.fields ?? {}))
}
