/**
 * A Vault without a network, for what a real one does not do on request: faults and standbys. Its answers are
 * those of Vault 1.21.2, word by word; the interop tests ask a real one. Whatever is not asked as Vault wants it is a failed
 * test, never an answer.
 *
 * @module
 */
import {
  type ConnectUpstream,
  type HttpAnswer,
  type HttpRequest,
  UpstreamError,
  type UpstreamPlace,
} from '../../src/adapters/http-client.ts'

export interface VaultDouble {
  readonly connect: ConnectUpstream
  /** What was connected to. */
  readonly places: UpstreamPlace[]
  /** `GET secret/data/a`, and so on: those that were answered, logins among them. */
  readonly asked: string[]
  /** A new version. */
  readonly put: (path: string, data: Readonly<Record<string, unknown>>) => void
  readonly deleteLatest: (path: string) => void
  readonly destroyLatest: (path: string) => void
  /** All of it, metadata too. */
  readonly purge: (path: string) => void
  /** Tokens that are good. */
  readonly tokens: Set<string>
  readonly revokeAll: () => void
  /** Answers instead of what was asked, as long as it answers something; `undefined` lets it pass. */
  fault: (request: HttpRequest) => HttpAnswer | Error | undefined
  /** Of the tokens that it gives, in seconds; 0: for ever. */
  leaseSeconds: number
  /** What a token may read or list: whatever begins so. */
  permitted: string
  /** What is mounted at `secret`. */
  engine: { readonly type: string; readonly options: Readonly<Record<string, string>> | null }
  readonly closed: () => boolean
}

interface Version {
  readonly data: Readonly<Record<string, unknown>>
  readonly created: string
  readonly deleted: string
  readonly destroyed: boolean
}

export const vaultOrigin = 'https://vault.example.org:8200'

export function answerOf(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { status, headers: new Headers(headers), text: typeof body === 'string' ? body : JSON.stringify(body) }
}

export const errorsOf = (status: number, ...errors: readonly string[]) => answerOf(status, { errors })

export function createVaultDouble(): VaultDouble {
  const secrets = new Map<string, Version[]>()
  const tokens = new Set<string>()
  let clock = Date.parse('2026-11-23T07:09:40.000Z')
  let made = 0
  let closed = false
  function tick(): string {
    clock += 1000
    return new Date(clock).toISOString().replace('Z', '456789Z')
  }

  function logIn(request: HttpRequest): HttpAnswer {
    const { role, jwt, ...rest } = JSON.parse(request.body ?? '') as Record<string, unknown>
    if (Object.keys(rest).length > 0) throw new Error('a login has role and jwt')
    if (role !== 'sync') return errorsOf(400, `role "${role}" could not be found`)
    if (!String(jwt).startsWith('jwt-for-vault.'))
      return errorsOf(
        400,
        'error validating token: invalid audience (aud) claim: audience claim does not match any expected audience',
      )
    made += 1
    const token = `hvs.${made}.${'s'.repeat(20)}`
    tokens.add(token)
    return answerOf(200, {
      ...envelope,
      auth: { client_token: token, lease_duration: vault.leaseSeconds, renewable: true },
    })
  }

  function read(path: string): HttpAnswer {
    const version = secrets.get(path)?.at(-1)
    if (version === undefined) return errorsOf(404)
    const { data, created, deleted, destroyed } = version
    const gone = deleted !== '' || destroyed
    const number = secrets.get(path)?.length ?? 0
    const metadata = {
      created_time: created,
      custom_metadata: null,
      deletion_time: deleted,
      destroyed,
      version: number,
    }
    return answerOf(gone ? 404 : 200, { ...envelope, data: { data: gone ? null : data, metadata } })
  }

  function list(folder: string): HttpAnswer {
    const below = [...secrets.keys()].filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length))
    const keys = [...new Set(below.map((path) => path.replace(/\/.*$/, '/')))].sort()
    return keys.length === 0 ? errorsOf(404) : answerOf(200, { ...envelope, data: { keys } })
  }

  function route(request: HttpRequest): HttpAnswer {
    const { pathname, searchParams } = new URL(request.url)
    const path = decodeURIComponent(pathname.replace(/^\/v1\//, ''))
    const token = request.headers?.['x-vault-token'] ?? ''
    if (request.headers?.['x-vault-request'] !== 'true') throw new Error('without x-vault-request')
    if (path === 'auth/jwt/login') return logIn(requireMethod(request, 'POST'))
    if (!tokens.has(token)) return errorsOf(403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n')
    if (path === 'auth/token/revoke-self') {
      tokens.delete(requireMethod(request, 'POST').headers?.['x-vault-token'] ?? '')
      return answerOf(204, '')
    }
    requireMethod(request, 'GET')
    if (path === 'sys/internal/ui/mounts/secret')
      return answerOf(200, { ...envelope, data: { path: 'secret/', ...vault.engine } })
    if (path.startsWith('sys/internal/ui/mounts/'))
      return errorsOf(
        403,
        `preflight capability check returned 403, please ensure client's policies grant access to path "${path.slice(23)}/"`,
      )
    const [, kind, rest = ''] = /^secret\/(data|metadata)\/(.*)$/.exec(path) ?? []
    if (kind === undefined) throw new Error(`nobody asks Vault for ${path}`)
    if (!rest.startsWith(vault.permitted)) return errorsOf(403, '1 error occurred:\n\t* permission denied\n\n')
    if (kind === 'data') return read(rest)
    if (`${searchParams}` !== 'list=true' || !(rest === '' || rest.endsWith('/')))
      throw new Error('a list is of a folder')
    return list(rest)
  }

  async function answer(request: HttpRequest): Promise<HttpAnswer> {
    if (request.signal?.aborted === true) throw new UpstreamError('timeout', 'nobody waits any longer')
    vault.asked.push(`${request.method ?? 'GET'} ${request.url.replace(`${vaultOrigin}/v1/`, '')}`)
    const fault = vault.fault(request)
    if (fault instanceof Error) throw fault
    return fault ?? route(request)
  }

  function change(path: string, what: Partial<Version>): void {
    const versions = secrets.get(path) ?? []
    secrets.set(path, versions.with(-1, { ...(versions.at(-1) as Version), ...what }))
  }

  const vault: VaultDouble = {
    places: [],
    asked: [],
    tokens,
    fault: () => undefined,
    leaseSeconds: 3600,
    permitted: '',
    engine: { type: 'kv', options: { version: '2' } },
    closed: () => closed,
    connect(place) {
      vault.places.push(place)
      return {
        request: answer,
        async close() {
          closed = true
        },
      }
    },
    put(path, data) {
      secrets.set(path, [...(secrets.get(path) ?? []), { data, created: tick(), deleted: '', destroyed: false }])
    },
    deleteLatest: (path) => change(path, { deleted: tick() }),
    destroyLatest: (path) => change(path, { destroyed: true }),
    purge: (path) => void secrets.delete(path),
    revokeAll: () => tokens.clear(),
  }
  return vault
}

const envelope = {
  request_id: 'r',
  lease_id: '',
  renewable: false,
  lease_duration: 0,
  data: null,
  wrap_info: null,
  warnings: null,
  auth: null,
}

function requireMethod(request: HttpRequest, method: string): HttpRequest {
  if ((request.method ?? 'GET') !== method) throw new Error(`${request.url} takes ${method}`)
  return request
}
