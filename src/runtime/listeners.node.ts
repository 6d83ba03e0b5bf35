/**
 * The sockets of a gateway: the public API, the admin socket, and where configured the metrics.
 *
 * @module
 */

import { mkdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import type { RequestTracing } from '../adapters/telemetry/opentelemetry.node.ts'
import type { Authorities } from '../core/authorities.ts'
import type { Configuration } from '../core/config.ts'
import type { Gateway } from '../core/gateway.ts'
import type { ListenAddress } from '../core/listen-address.ts'
import { Refusal } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { AdminDeps } from '../http/admin-app.ts'
import type { Answer } from '../http/answer.ts'
import { noteRefusal } from '../http/note-refusal.ts'
import { problemAnswer } from '../http/problem.ts'
import { withoutIssuerPath } from '../http/request-path.ts'
import { oauthErrorAnswer } from '../http/routes/token.ts'
import { createAccessLog, nameRoute } from './access-log.node.ts'
import { type AdmissionLimits, createAdmission } from './admission.node.ts'
import { createAnswering } from './answering.node.ts'
import { createAtFirstUse } from './applications-at-first-use.node.ts'
import { createBundleHandler } from './bundle-handler.node.ts'
import { describeGateway } from './gateway-status.ts'
import { createHotLane } from './hot-lane.node.ts'
import { type Listener, type ListenerOptions, listen, type RequestHandler } from './listener.node.ts'
import { createConnectionReader } from './peer.node.ts'
import { createFileSource, createOwnSvidSource, type TlsSource, tellExpiry } from './tls-material.node.ts'
import { createUnreadableAnswer } from './unreadable.node.ts'

export interface ListenersInput extends Omit<AdminDeps, 'status'> {
  readonly config: Configuration
  readonly gateway: Gateway
  readonly authorities: Pick<Authorities, 'current'>
  readonly telemetry: Telemetry
  readonly now: () => Date
  readonly tracing?: RequestTracing
  /** Default: those of {@link AdmissionLimits}. */
  readonly admission?: Partial<AdmissionLimits>
  /** Of the unix path of `listen`. Default 0o666 less the umask. */
  readonly publicMode?: number
}

export interface Listeners {
  readonly addresses: {
    readonly main: ListenAddress
    readonly admin: ListenAddress
    readonly console?: ListenAddress
    readonly metrics?: ListenAddress
    readonly bundleEndpoint?: ListenAddress
  }
  /** Puts a renewed or replaced certificate into service; open connections keep theirs. */
  readonly refreshTls: () => Promise<void>
  readonly close: (deadlineMs: number) => Promise<void>
}

/** @throws {ListenError} with nothing left open */
export async function openListeners(input: ListenersInput): Promise<Listeners> {
  const { config } = input
  const tls = await chooseTls(input)
  const open: Listener[] = []
  try {
    const main = await listen({
      address: config.listen.address,
      ...(input.publicMode !== undefined && { mode: input.publicMode }),
      ...publicHandler(input),
      ...(tls && { tls: tls.current() }),
    })
    open.push(main)
    if (config.admin.listen.kind === 'unix')
      await mkdir(dirname(config.admin.listen.path), { recursive: true, mode: 0o700 })
    const admin = await listen({
      address: config.admin.listen,
      mode: 0o600,
      handle: adminHandler(input),
      unreadable: createUnreadableAnswer(input.newRequestId),
    })
    open.push(admin)
    const console = config.admin.console && (await listen({ address: config.admin.console, ...consoleHandler(input) }))
    if (console) open.push(console)
    const metrics = config.metrics && (await listen({ address: config.metrics.listen, handle: metricsHandler(input) }))
    if (metrics) open.push(metrics)
    const bundle = await openBundleEndpoint(input)
    if (bundle) open.push(bundle.listener)
    return {
      addresses: {
        main: main.address,
        admin: admin.address,
        ...(console && { console: console.address }),
        ...(metrics && { metrics: metrics.address }),
        ...(bundle && { bundleEndpoint: bundle.listener.address }),
      },
      async refreshTls() {
        const renewed = await tls?.refresh()
        if (renewed) main.replaceTls(renewed)
        const ofBundle = await bundle?.tls.refresh()
        if (ofBundle) bundle?.listener.replaceTls(ofBundle)
      },
      close: (deadlineMs) => closeAll(open, deadlineMs),
    }
  } catch (error) {
    await closeAll(open, 0)
    throw error
  }
}

async function closeAll(listeners: readonly Listener[], deadlineMs: number): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close(deadlineMs)))
}

async function chooseTls(input: ListenersInput): Promise<TlsSource | undefined> {
  const { tls } = input.config.listen
  if (tls === 'off') return undefined
  const source = tls === 'self' ? await ownSvid(input) : await createFileSource(tls)
  return tellExpiry(source, expiryOf(input, 'main', tls === 'self' ? 'self' : 'files'))
}

function expiryOf({ telemetry }: Pick<ListenersInput, 'telemetry'>, listener: string, source: 'self' | 'files') {
  return (expiresAt: Date) =>
    telemetry.gauge('apostille_tls_certificate_expiry_timestamp_seconds', expiresAt.getTime() / 1000, {
      listener,
      source,
    })
}

type OwnSvidDeps = Pick<ListenersInput, 'config' | 'gateway' | 'authorities' | 'now'>

function ownSvid({ config, gateway, authorities, now }: OwnSvidDeps): Promise<TlsSource> {
  return createOwnSvidSource({
    trustDomain: config.trustDomain,
    host: () => new URL(gateway.configured().config.issuer).hostname,
    authorities: authorities.current,
    now,
  })
}

/** Profile `https_spiffe`: known by our SPIFFE ID, and asks nobody for a certificate (Federation §5.2.2). */
async function openBundleEndpoint(input: ListenersInput) {
  const { bundle_endpoint: endpoint } = input.config
  if (endpoint === undefined) return undefined
  const tls = tellExpiry(await ownSvid(input), expiryOf(input, 'bundle_endpoint', 'self'))
  const listener = await listen({
    address: endpoint.address,
    tls: tls.current(),
    clientCertificates: false,
    ...createBundleHandler(input),
  })
  return { listener, tls }
}

function publicHandler(input: ListenersInput): Pick<ListenerOptions, 'handle' | 'unreadable'> {
  const { gateway, telemetry, tracing, newRequestId, now } = input
  const routeOf = (path: string) => withoutIssuerPath(gateway, path)
  const connection = createConnectionReader(() => gateway.configured().config.listen.trusted_proxies)
  const hot = createHotLane({ gateway, telemetry, connection, now })
  const application = createAtFirstUse(
    async () => (await applications()).createPublicApplication({ gateway, telemetry, now, newRequestId, connection }),
    (error, response, requestId) => void answerFailure(input, error, response, requestId),
  )
  const answering = createAnswering()
  const answerNow = (request: IncomingMessage, response: ServerResponse, requestId: string) => {
    answering.begin(request, response)
    if (hot(request, response, requestId)) return
    application(request, response, requestId)
  }
  const answer: typeof answerNow = tracing
    ? (request, response, requestId) => tracing.within(response, () => answerNow(request, response, requestId))
    : answerNow
  const log = createAccessLog({ telemetry, connection, routeOf, ...(tracing && { within: tracing.within }) })
  const admission = createAdmission({
    telemetry,
    monotonicMs: () => performance.now(),
    answering: answering.count,
    ...(input.admission && { limits: input.admission }),
  })
  const handle: RequestHandler = (request, response) => {
    const requestId = newRequestId()
    log.begin(request, response, requestId)
    const path = routeOf((request.url ?? '/').split('?', 1)[0] ?? '/')
    tracing?.begin(request, response, { requestId, route: nameRoute(path), address: connection(request).address })
    if (probes.has(path) || admission.admits()) return answer(request, response, requestId)
    admission.wait({
      answer: () => answer(request, response, requestId),
      refuse: () => refuseOverloaded(response, path, requestId),
      isGone: () => request.destroyed || request.aborted,
    })
  }
  return { handle, unreadable: createUnreadableAnswer(newRequestId, log) }
}

/** A process that is busy is alive and ready: a probe that is shed would have it killed, or its share given to others. */
const probes: ReadonlySet<string> = new Set(['/livez', '/readyz', '/readyz/documents'])

function refuseOverloaded(response: ServerResponse, path: string, requestId: string): void {
  const refusal = new Refusal('overloaded', 'too many requests at once')
  const answer = path === '/token' ? oauthErrorAnswer(refusal, requestId) : problemAnswer(refusal, requestId)
  send(response, answer, requestId)
}

const applications = () => import('./applications.node.ts')

/** As when the package was replaced below the process. */
async function answerFailure(
  deps: Pick<ListenersInput, 'gateway' | 'telemetry'>,
  error: unknown,
  response: ServerResponse,
  requestId: string,
): Promise<void> {
  const refusal = await noteRefusal(deps, { call: { requestId, address: '' }, operation: undefined }, error)
  send(response, problemAnswer(refusal, requestId), requestId)
}

function send(response: ServerResponse, { status, headers, body }: Answer, requestId: string): void {
  response.writeHead(status, { ...headers, 'x-request-id': requestId, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

function adminHandler(input: ListenersInput): RequestHandler {
  const application = createAtFirstUse(
    async () => (await applications()).createAdminApplication({ ...input, status: () => describeGateway(input) }),
    (error, response, requestId) => void answerFailure(input, error, response, requestId),
  )
  return (request, response) => application(request, response, input.newRequestId())
}

function consoleHandler(input: ListenersInput): Pick<ListenerOptions, 'handle' | 'unreadable'> {
  const application = createAtFirstUse(
    async () => (await applications()).createConsoleApplication(input),
    (error, response, requestId) => void answerFailure(input, error, response, requestId),
  )
  return {
    handle: (request, response) => application(request, response, input.newRequestId()),
    unreadable: createUnreadableAnswer(input.newRequestId),
  }
}

/** `/metrics` alone. */
function metricsHandler({ metrics }: ListenersInput): RequestHandler {
  return (request: IncomingMessage, response: ServerResponse) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    metrics().then(
      ({ contentType, body }) => response.writeHead(200, { 'content-type': contentType }).end(body),
      () => response.writeHead(500).end(),
    )
  }
}
