/**
 * A real gateway in a folder of its own, with join tokens, an OIDC issuer and an admin socket: what `serve` starts.
 *
 * @module
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RequestTracing } from '../../src/adapters/telemetry/opentelemetry.node.ts'
import { createPrometheusMetrics } from '../../src/adapters/telemetry/prometheus.ts'
import type { RecordDocument } from '../../src/core/record.ts'
import type { Fields, Telemetry } from '../../src/core/telemetry.ts'
import type { AdmissionLimits } from '../../src/runtime/admission.node.ts'
import { type RunningServer, startServer } from '../../src/runtime/server.node.ts'
import type { AnswerCheck } from './described-answers.ts'
import { createOidcIssuer, type OidcIssuer, testAudience, testIssuer } from './oidc-issuer.ts'
import { send, type WireAnswer, type WireRequest, type WireTarget } from './wire.ts'

export type Document = Readonly<Record<string, unknown>>

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Fields
}

export interface TestGateway {
  readonly folder: string
  readonly issuer: OidcIssuer
  readonly server: RunningServer
  /** The public API, with TLS where it has it. */
  readonly target: WireTarget
  readonly send: (path: string, wanted?: WireRequest) => Promise<WireAnswer>
  readonly admin: (path: string, method?: string, body?: Document) => Promise<WireAnswer>
  /** A new join token and its id; one use unless told. */
  readonly joinToken: (options?: Document) => Promise<{ readonly token: string; readonly id: string }>
  /** Oldest first. Default query: the first thousand. */
  readonly records: (query?: string) => Promise<readonly RecordDocument[]>
  readonly metric: (line: string) => Promise<number | undefined>
  readonly log: readonly LogLine[]
  /** Replaces the document on disk, without a reload. */
  readonly writeConfig: (changes: Document) => void
  readonly reload: (changes: Document) => Promise<WireAnswer>
  /** Stops it and starts it again over the same store. */
  readonly restart: () => Promise<TestGateway>
  readonly close: () => Promise<void>
  /** Stops it and takes the folder away. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

const roleArn = 'arn:aws:iam::123456789012:role/x'

/** What the gateway of tests is told; a test changes whole members of it. */
export const testDocument: Document = {
  trust_domain: 'example.org',
  issuer: 'https://id.example.org',
  listen: { address: 'unix:./public.sock', tls: 'off' },
  admin: { listen: 'unix:./admin.sock' },
  store: 'sqlite:./data/apostille.db',
  seal: { file: './data/seal.key' },
  authenticators: {
    first: { type: 'join_token' },
    ours: { type: 'spiffe', trust_domain: 'example.org' },
    ci: { type: 'oidc', issuer: testIssuer, audience: testAudience, jwks_file: './ci.jwks.json' },
  },
  identities: [
    {
      name: 'machines',
      spiffe_id: '/vm/${proof.name}',
      from: 'first',
      dns_names: ['${proof.name}.vm.example.org'],
      audiences: ['https://api.example.org', 'https://id.example.org/elsewhere'],
      hint: 'machine',
    },
    {
      name: 'jobs',
      spiffe_id: '/ci/${proof.subject}',
      from: 'ci',
      when: "proof.subject != 'nobody'",
      audiences: ['https://api.example.org', 'https://db.example.org'],
      max_audiences: 2,
    },
    { name: 'builds', spiffe_id: '/build', from: 'ci', when: "proof.subject == 'build'", audiences: ['builders'] },
  ],
  targets: {
    away: { type: 'aws', role_arn: roleArn, region: 'eu-west-1', endpoint: 'https://127.0.0.1:9' },
    shut: { type: 'aws', role_arn: roleArn, region: 'eu-west-1' },
  },
  policies: [
    { name: 'builds', permit: 'exchange', to: 'away', when: "identity.path == '/ci/build'" },
    {
      name: 'team',
      permit: ['read', 'write'],
      when: "identity.path == '/ci/build' && request.path.startsWith('team/')",
    },
    {
      name: 'readers',
      permit: 'read',
      when: "identity.path in ['/vm/one', '/ci/reader'] && request.path.startsWith('team/')",
    },
    { name: 'closed', forbid: 'read', when: "request.path == 'team/closed'" },
  ],
}

export interface GatewayOptions {
  /** Members that take the place of those of {@link testDocument}. */
  readonly document?: Document
  /** Default: new keys. */
  readonly issuer?: OidcIssuer
  readonly telemetry?: Partial<Telemetry>
  readonly tracing?: RequestTracing
  readonly admission?: Partial<AdmissionLimits>
  /** Sees each answer of the admin socket. */
  readonly checkAdmin?: AnswerCheck
}

export async function startGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'apostille-'))
  const issuer = options.issuer ?? createOidcIssuer()
  writeFileSync(join(folder, 'ci.jwks.json'), issuer.jwks)
  writeDocument(folder, options.document ?? {})
  try {
    return await open(folder, issuer, options)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

function writeDocument(folder: string, changes: Document): void {
  writeFileSync(join(folder, 'apostille.yaml'), JSON.stringify({ ...testDocument, ...changes }))
}

async function open(folder: string, issuer: OidcIssuer, options: GatewayOptions): Promise<TestGateway> {
  const metrics = createPrometheusMetrics(() => {})
  const log: LogLine[] = []
  const telemetry: Telemetry = {
    ...metrics,
    log: (level, message, fields = {}) => void log.push({ level, message, fields }),
    ...options.telemetry,
  }
  const configFile = join(folder, 'apostille.yaml')
  const settings = { configFile, logLevel: 'info', logFormat: 'json', purpose: 'serve', env: {} } as const
  const server = await startServer(settings, {
    telemetry,
    metrics: metrics.expose,
    ...(options.tracing && { tracing: options.tracing }),
    ...(options.admission && { admission: options.admission }),
  })
  const target = targetOf(server, options)
  const adminTarget: WireTarget = { address: server.addresses.admin }
  let closed: Promise<void> | undefined

  async function admin(path: string, method = 'GET', body?: Document): Promise<WireAnswer> {
    const answer = await send(adminTarget, path, { method, ...(body && { body: JSON.stringify(body) }) })
    const header = (name: string) => answer.headers[name]?.toString()
    options.checkAdmin?.({ method, path }, { status: answer.status, header, text: answer.text })
    return answer
  }

  const gateway: TestGateway = {
    folder,
    issuer,
    server,
    target,
    log,
    admin,
    send: (path, wanted) => send(target, path, wanted),
    async joinToken(wanted = {}) {
      const created = await admin('/v1/join-tokens', 'POST', { authenticator: 'first', name: 'one', ...wanted })
      if (created.status !== 201) throw new Error(created.text)
      const { token, id } = created.json()
      return { token: String(token), id: String(id) }
    },
    records: async (query = 'limit=1000') =>
      (await admin(`/v1/records?${query}`)).json().items as readonly RecordDocument[],
    async metric(name) {
      const line = (await metrics.expose()).body.split('\n').find((text) => text.startsWith(`${name} `))
      return line === undefined ? undefined : Number(line.slice(name.length + 1))
    },
    writeConfig: (changes) => writeDocument(folder, changes),
    async reload(changes) {
      writeDocument(folder, changes)
      return admin('/v1/reload', 'POST')
    },
    async restart() {
      await gateway.close()
      return open(folder, issuer, options)
    },
    close: () => {
      closed ??= server.close()
      return closed
    },
    async [Symbol.asyncDispose]() {
      await gateway.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return gateway
}

/** TLS of ours is verified as a workload does it: against the bundle, by the issuer's name. */
function targetOf(server: RunningServer, { document = {} }: GatewayOptions): WireTarget {
  const { tls } = (document.listen ?? testDocument.listen) as { readonly tls?: unknown }
  const address = server.addresses.main
  if (tls === 'off') return { address }
  const ca = new TextDecoder().decode(server.gateway.published().bundlePem.body)
  return { address, tls: { ca, servername: 'id.example.org' } }
}

/** Headers of a JSON request with a bearer proof. */
export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
}

/** Asks for a JWT-SVID. */
export function askJwt(gateway: TestGateway, token: string, body: Document = {}): Promise<WireAnswer> {
  return gateway.send('/v1/svid/jwt', {
    method: 'POST',
    headers: bearer(token),
    body: JSON.stringify({ audience: ['https://api.example.org'], ...body }),
  })
}
