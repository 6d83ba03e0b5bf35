/**
 * The admin API as a Hono application. It is served on a unix socket that only its owner may open, so whoever reaches it
 * is an operator.
 *
 * @module
 */
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Explainer } from '../core/explainer.ts'
import type { Federation } from '../core/federation.ts'
import type { Gateway } from '../core/gateway.ts'
import type { Operator } from '../core/operator.ts'
import type { PublishedDocument } from '../core/published-documents.ts'
import type { Records } from '../core/records.ts'
import { Refusal } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { type AdminAct, recordRefusedAct } from './admin-act.ts'
import { malformed } from './body.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { problemAnswer, refusalOf } from './problem.ts'
import { targetOf } from './request-path.ts'
import { authorityRoutes } from './routes/authorities.ts'
import { type Backups, backupRoutes } from './routes/backup.ts'
import { chooseBundle, requireDocument } from './routes/discovery.ts'
import { explainRoutes } from './routes/explain.ts'
import { federationRoutes } from './routes/federation.ts'
import { joinTokenRoutes } from './routes/join-tokens.ts'
import { kvPath, kvRoutes } from './routes/kv.ts'
import { createOpenApiDocument, openApiPath } from './routes/openapi.ts'
import { recordRoutes } from './routes/records.ts'
import { type SealRotation, sealRoutes } from './routes/seal.ts'
import { targetRoutes } from './routes/targets.ts'

/** A configuration that was refused or taken, as `reload` tells it. */
export interface ReloadOutcome {
  readonly applied: boolean
  /** Of the document in use after it. */
  readonly digest: string
  /** What is wrong with the new document, or what it needs a restart for. */
  readonly problems: readonly {
    readonly line?: number
    readonly column?: number
    readonly path?: string
    readonly message: string
  }[]
}

export interface AdminDeps {
  readonly gateway: Pick<Gateway, 'published'>
  readonly operator: Operator
  readonly federation: Federation
  readonly records: Records
  readonly explainer: Explainer
  readonly seal: SealRotation
  readonly backups: Backups
  readonly telemetry: Telemetry
  readonly newRequestId: () => string
  readonly reload: (requestId: string) => Promise<ReloadOutcome>
  /** Prometheus text. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
  readonly status: () => Promise<Readonly<Record<string, unknown>>>
  /** The target of a request as it came. Default: what its URL says, in which `..` is resolved. */
  readonly target?: (env: unknown) => string | undefined
}

export interface AdminEnv {
  /** `act`: set by routes that change something. */
  Variables: { requestId: string; act?: AdminAct | undefined }
}

export function createAdminApp(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()
  app.use(async (c, next) => {
    c.set('requestId', deps.newRequestId())
    c.header('cache-control', 'no-store')
    c.header('x-request-id', c.get('requestId'))
    await next()
  })
  app.route('/v1/authorities', authorityRoutes(deps.operator))
  app.route('/v1/backup', backupRoutes(deps.backups))
  app.route('/v1/explain', explainRoutes(deps.explainer))
  app.route('/v1/federation', federationRoutes(deps.federation))
  app.route('/v1/join-tokens', joinTokenRoutes(deps.operator))
  app.route('/v1/records', recordRoutes(deps.records))
  app.route('/v1/seal', sealRoutes(deps.seal))
  app.route('/v1/targets', targetRoutes(deps.operator))
  mountSecrets(app, deps)
  app.post('/v1/reload', async (c) => {
    const outcome = await deps.reload(c.get('requestId'))
    return c.json(outcome, outcome.applied ? 200 : 409)
  })
  app.get('/v1/bundle', (c) => {
    return sendDocument(c, requireDocument(chooseBundle(deps.gateway.published(), c.req.query('format'))))
  })
  app.get('/v1/status', async (c) => c.json(await deps.status()))
  const description = createOpenApiDocument('admin')
  app.get(openApiPath, async (c) => sendDocument(c, await description()))
  app.get('/metrics', async (c) => {
    const { contentType, body } = await deps.metrics()
    return c.body(body, 200, { 'content-type': contentType })
  })
  refuseOtherMethods(app)
  app.notFound((c) => problemResponse(c, new Refusal('not_found', 'no such path')))
  app.onError(async (error, c) => {
    const act = c.get('act')
    const cause = refusalOf(error)
    const refusal = act ? await recordRefusedAct(deps.operator, c.get('requestId'), act, cause) : cause
    if (refusal.code === 'internal')
      deps.telemetry.log('error', 'an admin request failed unexpectedly', {
        request_id: c.get('requestId'),
        error: error instanceof Error ? `${error.name}: ${error.message}` : typeof error,
      })
    return problemResponse(c, refusal)
  })
  return app
}

function sendDocument(c: Context<AdminEnv>, { body, contentType }: PublishedDocument): Response {
  return c.body(new TextDecoder().decode(body), 200, { 'content-type': contentType })
}

/** Once a request is read, the operation itself keeps its records, also of what it refuses. */
function mountSecrets(app: Hono<AdminEnv>, deps: AdminDeps): void {
  for (const route of kvRoutes(deps.operator.secrets))
    app.on([...route.methods], `${kvPath}${route.folder}/*`, async (c) => {
      const target = targetOf(deps, c)
      const requestId = c.get('requestId')
      c.set('act', { operation: route.operation(target) })
      const { status, headers, body } = await route.answer({
        requestId,
        target,
        contentType: 'application/json',
        readBody: () => c.req.text(),
        asker: (spiffeId) => {
          if (spiffeId !== undefined) throw malformed('spiffe_id: an operator acts as none')
          c.set('act', undefined)
          return { requestId }
        },
      })
      return new Response(status === 204 ? null : body, { status, headers: { ...headers, 'x-request-id': requestId } })
    })
}

/** With the headers that are set already, such as `Allow`. */
function problemResponse(c: Context<AdminEnv>, refusal: Refusal): Response {
  const { status, headers, body } = problemAnswer(refusal, c.get('requestId'), 'operator')
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  return c.body(body as string, status as ContentfulStatusCode)
}
