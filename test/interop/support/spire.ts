/**
 * SPIRE servers and agents, as they come, and what their command lines can do.
 *
 * Keys of records are SPIRE's own words; times to live are written as Go writes durations, `90s` or `1h`.
 *
 * @module
 */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { formatPem, parseBase64 } from '../../../src/protocol/encoding.ts'
import { makeFolder } from './cleanup.ts'
import { freePorts, poll, type Running, run, runOk, start } from './command.ts'
import { part } from './parts.ts'
import { serverConfig } from './spire-config.ts'

export interface SpireWishes {
  readonly trustDomain: string
  /** Made where it is missing; one with a server's data starts that server again. A new one by default. */
  readonly folder?: string
  /** Of 127.0.0.1; free ones by default. */
  readonly ports?: SpirePorts
  /** `https_spiffe` by default; files are PEM. */
  readonly bundleEndpoint?: 'https_spiffe' | { readonly certificateFile: string; readonly keyFile: string }
  /** In the bundle endpoint's document; `1m` by default. */
  readonly refreshHint?: string
  readonly federatesWith?: readonly Relation[]
  /** PEM files, read at each signing: of a root without `bundleFile`, else of what the roots in it have signed. */
  readonly upstreamDisk?: {
    readonly certificateFile: string
    readonly keyFile: string
    readonly bundleFile?: string
  }
  readonly jwtIssuer?: string
  /** `ec-p256` by default, which is ES256. */
  readonly jwtKeyType?: 'rsa-2048' | 'rsa-4096' | 'ec-p256' | 'ec-p384'
  /** `24h` by default. */
  readonly caTtl?: string
  /** `SSL_CERT_FILE` names the CA of peers with `https_web`. */
  readonly env?: Readonly<Record<string, string>>
}

export interface SpirePorts {
  readonly api: number
  readonly bundleEndpoint: number
}

/** To the bundle endpoint of another trust domain: `https_spiffe` with an endpoint's SPIFFE ID, `https_web` without. */
export interface Relation {
  readonly trustDomain: string
  readonly url: string
  readonly endpointSpiffeId?: string
}

export interface MintedX509Svid {
  /** DER, leaf first, without the root. */
  readonly chain: readonly Buffer[]
  readonly chainPem: string
  /** PKCS#8. */
  readonly keyPem: string
  readonly bundlePem: string
}

export interface SpireAuthority {
  /** The `kid` of a JWT authority, the subject key identifier of an X.509 one. */
  readonly authorityId: string
  readonly expiresAt: Date
  /** Of the upstream root or intermediate that signed it. */
  readonly upstreamSubjectKeyId?: string
}

export type AuthorityKind = 'x509' | 'jwt'

export interface EntryWishes {
  readonly spiffeId: string
  readonly parentId: string
  /** `unix:uid:` of this process by default. */
  readonly selectors?: readonly string[]
  /** Trust domains whose bundles the server has. */
  readonly federatesWith?: readonly string[]
  readonly dns?: readonly string[]
  readonly x509TtlSeconds?: number
  readonly jwtTtlSeconds?: number
  readonly downstream?: boolean
}

export interface Spire {
  readonly trustDomain: string
  readonly folder: string
  readonly ports: SpirePorts
  /** Of the admin API, as `unix:` addresses have it. */
  readonly socketPath: string
  /** `https://127.0.0.1:PORT`. */
  readonly bundleEndpoint: string
  /** `spiffe://TRUST_DOMAIN/spire/server`, whom its bundle endpoint is with `https_spiffe`. */
  readonly spiffeId: string
  /** `spire-server` with these arguments: what it writes. @throws {Error} unless it exits with 0 */
  readonly command: (args: readonly string[], input?: string) => Promise<string>
  readonly mintX509: (wishes: {
    readonly spiffeId: string
    readonly dns?: readonly string[]
    readonly ttl?: string
  }) => Promise<MintedX509Svid>
  readonly mintJwt: (wishes: {
    readonly spiffeId: string
    readonly audience: string | readonly string[]
    readonly ttl?: string
  }) => Promise<string>
  /** Its own bundle: the SPIFFE document, or the X.509 authorities as PEM. */
  readonly bundleShow: (format?: 'spiffe' | 'pem') => Promise<string>
  /** Of another trust domain, by hand: a SPIFFE document. */
  readonly bundleSet: (trustDomain: string, document: string) => Promise<void>
  /** SPIFFE documents of other trust domains, by name. */
  readonly bundleList: () => Promise<ReadonlyMap<string, string>>
  /** @param bundle A SPIFFE document; needed with an endpoint's SPIFFE ID, unless the server has one. */
  readonly federationCreate: (relation: Relation, bundle?: string) => Promise<void>
  /** Asks the bundle endpoint of another trust domain now, and waits for the answer. */
  readonly federationRefresh: (trustDomain: string) => Promise<void>
  readonly authorities: (
    kind: AuthorityKind,
  ) => Promise<Partial<Readonly<Record<'active' | 'prepared' | 'old', SpireAuthority>>>>
  /** `prepare` asks for none; `activate` the prepared one; `taint` the old one, and `revoke` that when it is tainted. */
  readonly localAuthority: (
    kind: AuthorityKind,
    action: 'prepare' | 'activate' | 'taint' | 'revoke',
    authorityId?: string,
  ) => Promise<SpireAuthority>
  readonly upstreamAuthority: (action: 'taint' | 'revoke', subjectKeyId: string) => Promise<void>
  /** The entry's ID. */
  readonly createEntry: (wishes: EntryWishes) => Promise<string>
  /** @param spiffeId Which entries may name as their parent, besides the agent's own ID. */
  readonly joinToken: (spiffeId: string) => Promise<string>
  readonly log: () => string
  readonly stop: () => Promise<void>
}

const healthDeadlineMs = 30_000

/** A server, ready, that ends with the stack at the latest. */
export async function startSpire(stack: AsyncDisposableStack, wishes: SpireWishes): Promise<Spire> {
  const program = join(await part('spire.sh'), 'spire-server')
  const folder = wishes.folder ?? (await makeFolder(stack))
  const ports = wishes.ports ?? (await freeSpirePorts())
  const configFile = join(folder, 'server.conf')
  const socketPath = join(folder, 'server.sock')
  await mkdir(folder, { recursive: true })
  await writeFile(configFile, serverConfig({ ...wishes, folder, ports, socketPath }))
  const options = wishes.env === undefined ? {} : { env: wishes.env }
  const server = start(stack, program, ['run', '-config', configFile], options)

  const ask = (args: readonly string[]) => run(program, [...args, '-socketPath', socketPath])
  await ready('SPIRE', server, async () => (await ask(['healthcheck'])).code === 0 && accepts(ports.bundleEndpoint))
  const command: Spire['command'] = (args, input) =>
    runOk(program, [...args, '-socketPath', socketPath], input === undefined ? {} : { input })
  return {
    trustDomain: wishes.trustDomain,
    folder,
    ports,
    socketPath,
    bundleEndpoint: `https://127.0.0.1:${ports.bundleEndpoint}`,
    spiffeId: `spiffe://${wishes.trustDomain}/spire/server`,
    command,
    ...issuing(command),
    ...federating(command, folder),
    ...rotating(command),
    ...registering(command),
    ...lifeOf(server),
  }
}

/** For servers that must know of each other before they start. */
export async function freeSpirePorts(): Promise<SpirePorts> {
  const [api = 0, bundleEndpoint = 0] = await freePorts(2)
  return { api, bundleEndpoint }
}

/** Waits for it. @throws {Error} with its log, when it ends instead */
export async function ready(what: string, program: Running, isReady: () => Promise<boolean>): Promise<void> {
  await poll(`${what} is ready`, healthDeadlineMs, async () => {
    try {
      program.alive()
    } catch (error) {
      throw new Error(`${what} ended:\n${program.output().stdout.slice(-4000)}`, { cause: error }) // its log is there
    }
    return (await isReady()) || undefined
  })
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

export function lifeOf(program: Running): Pick<Spire, 'log' | 'stop'> {
  const log = () => `${program.output().stdout}${program.output().stderr}`
  return { log, stop: program.stop }
}

function issuing(command: Spire['command']): Pick<Spire, 'mintX509' | 'mintJwt' | 'bundleShow'> {
  const mintX509: Spire['mintX509'] = async ({ spiffeId, dns = [], ttl }) => {
    const args = ['x509', 'mint', '-spiffeID', spiffeId, ...flags('-dns', dns), ...flags('-ttl', ttl), ...asJson]
    const { x509_svid, private_key, root_cas } = JSON.parse(await command(args))
    return {
      chain: x509_svid.map(parseBase64),
      chainPem: certificatesPem(x509_svid),
      keyPem: formatPem('PRIVATE KEY', parseBase64(private_key)),
      bundlePem: certificatesPem(root_cas),
    }
  }

  const mintJwt: Spire['mintJwt'] = async ({ spiffeId, audience, ttl }) => {
    const args = ['-spiffeID', spiffeId, ...flags('-audience', audience), ...flags('-ttl', ttl)]
    return (await command(['jwt', 'mint', ...args])).trim()
  }

  const bundleShow: Spire['bundleShow'] = (format = 'spiffe') => command(['bundle', 'show', '-format', format])
  return { mintX509, mintJwt, bundleShow }
}

function certificatesPem(certificates: readonly string[]): string {
  return certificates.map((certificate) => formatPem('CERTIFICATE', parseBase64(certificate))).join('')
}

function federating(
  command: Spire['command'],
  folder: string,
): Pick<Spire, 'bundleSet' | 'bundleList' | 'federationCreate' | 'federationRefresh'> {
  const bundleSet: Spire['bundleSet'] = async (trustDomain, document) => {
    await command(['bundle', 'set', '-format', 'spiffe', '-id', idOf(trustDomain)], document)
  }

  const bundleList: Spire['bundleList'] = async () => {
    const { bundles } = JSON.parse(await command(['bundle', 'list', ...asJson]))
    const names: readonly string[] = bundles.map((bundle: { readonly trust_domain: string }) => bundle.trust_domain)
    const show = (name: string) => command(['bundle', 'list', '-format', 'spiffe', '-id', name])
    return new Map(await Promise.all(names.map(async (name) => [name, await show(name)] as const)))
  }

  const federationCreate: Spire['federationCreate'] = async ({ trustDomain, url, endpointSpiffeId }, bundle) => {
    const profile = endpointSpiffeId === undefined ? 'https_web' : 'https_spiffe'
    const relation = ['-trustDomain', trustDomain, '-bundleEndpointURL', url, '-bundleEndpointProfile', profile]
    const from = bundle === undefined ? [] : await bundleFlags(folder, bundle)
    await command(['federation', 'create', ...relation, ...flags('-endpointSpiffeID', endpointSpiffeId), ...from])
  }

  const federationRefresh: Spire['federationRefresh'] = async (trustDomain) => {
    await command(['federation', 'refresh', '-id', trustDomain])
  }
  return { bundleSet, bundleList, federationCreate, federationRefresh }
}

async function bundleFlags(folder: string, bundle: string): Promise<readonly string[]> {
  const file = join(await mkdtemp(join(folder, 'bundle-')), 'bundle.json')
  await writeFile(file, bundle)
  return ['-trustDomainBundlePath', file, '-trustDomainBundleFormat', 'spiffe']
}

function rotating(command: Spire['command']): Pick<Spire, 'authorities' | 'localAuthority' | 'upstreamAuthority'> {
  const authorities: Spire['authorities'] = async (kind) => {
    const states = JSON.parse(await command(['localauthority', kind, 'show', ...asJson]))
    const known = Object.entries(states).filter(([, state]) => state !== null)
    return Object.fromEntries(known.map(([name, state]) => [name, readAuthority(state as AuthorityState)]))
  }

  const localAuthority: Spire['localAuthority'] = async (kind, action, authorityId) => {
    const args = ['localauthority', kind, action, ...flags('-authorityID', authorityId), ...asJson]
    const [state] = Object.values<AuthorityState>(JSON.parse(await command(args)))
    if (state === undefined) throw new Error(`no answer to ${action}`)
    return readAuthority(state)
  }

  const upstreamAuthority: Spire['upstreamAuthority'] = async (action, subjectKeyId) => {
    await command(['upstreamauthority', action, '-subjectKeyID', subjectKeyId])
  }
  return { authorities, localAuthority, upstreamAuthority }
}

interface AuthorityState {
  readonly authority_id: string
  /** Seconds since 1970. */
  readonly expires_at: string
  readonly upstream_authority_subject_key_id: string
}

function readAuthority(state: AuthorityState): SpireAuthority {
  const { authority_id, expires_at, upstream_authority_subject_key_id: upstreamSubjectKeyId } = state
  const expiresAt = new Date(Number(expires_at) * 1000)
  return { authorityId: authority_id, expiresAt, ...(upstreamSubjectKeyId !== '' && { upstreamSubjectKeyId }) }
}

function registering(command: Spire['command']): Pick<Spire, 'createEntry' | 'joinToken'> {
  const createEntry: Spire['createEntry'] = async (wishes) => {
    const { selectors = [`unix:uid:${process.getuid?.()}`], federatesWith = [] } = wishes
    const args = [
      ...flags('-spiffeID', wishes.spiffeId),
      ...flags('-parentID', wishes.parentId),
      ...flags('-selector', selectors),
      ...flags('-federatesWith', federatesWith.map(idOf)),
      ...flags('-dns', wishes.dns),
      ...flags('-x509SVIDTTL', wishes.x509TtlSeconds?.toString()),
      ...flags('-jwtSVIDTTL', wishes.jwtTtlSeconds?.toString()),
      ...(wishes.downstream === true ? ['-downstream'] : []),
    ]
    // Not as JSON: with that, an entry that was refused is no failure.
    const [, id] = /^Entry ID\s*: (\S+)$/m.exec(await command(['entry', 'create', ...args])) ?? []
    if (id === undefined) throw new Error('no entry ID in the answer')
    return id
  }

  const joinToken: Spire['joinToken'] = async (spiffeId) =>
    JSON.parse(await command(['token', 'generate', '-spiffeID', spiffeId, ...asJson])).value
  return { createEntry, joinToken }
}

const asJson = ['-output', 'json']

function flags(name: string, values: string | readonly string[] = []): readonly string[] {
  return [values].flat().flatMap((value) => [name, value])
}

function idOf(trustDomain: string): string {
  return `spiffe://${trustDomain}`
}
