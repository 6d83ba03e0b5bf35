/**
 * The public API as a Hono application: middleware and mounted routes. It runs wherever `Request` and `Response` do.
 *
 * @module
 */
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Call } from '../core/call.ts'
import type { Gateway } from '../core/gateway.ts'
import { Refusal } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Answer } from './answer.ts'
import { cutOff, decodeBody, maxBodyBytes, requireMediaType, tooLarge } from './body.ts'
import { type Connection, readCall } from './incoming-call.ts'
import { noteRefusal } from './note-refusal.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { problemAnswer } from './problem.ts'
import { targetOf, withoutIssuerPath } from './request-path.ts'
import { credentialsAnswer, credentialsPath, readTargetName } from './routes/credentials.ts'
import {
  chooseBundle,
  chosenAnswer,
  type DocumentPath,
  documentAnswer,
  documentFor,
  documentPaths,
} from './routes/discovery.ts'
import { livezAnswer, readyzAnswer, readyzDocumentsAnswer } from './routes/health.ts'
import { identitiesAnswer } from './routes/identities.ts'
import { kvPath, kvRoutes } from './routes/kv.ts'
import { createOpenApiDocument, openApiPath } from './routes/openapi.ts'
import { svidRoutes } from './routes/svid.ts'
import { answerTokenRequest, oauthErrorAnswer, readTokenRequest } from './routes/token.ts'

export interface AppDeps {
  readonly gateway: Gateway
  readonly telemetry: Telemetry
  readonly now: () => Date
  readonly requestId: (env: unknown) => string
  readonly connection: (env: unknown) => Connection
  /** The target of a request as it came. Default: what its URL says, in which `..` is resolved. */
  readonly target?: (env: unknown) => string | undefined
  /** Whether a body that ended is whole, where the runtime ends one that was cut off alike. Default: it is. */
  readonly isWholeBody?: (env: unknown) => boolean | Promise<boolean>
}

export interface AppEnv {
  Variables: { requestId: string; operation: string | undefined; call: Call }
}

type AppContext = Context<AppEnv>

export function createApp(deps: AppDeps): Hono<AppEnv> {
  const { gateway } = deps
  const app = new Hono<AppEnv>({ getPath: (request) => withoutIssuerPath(gateway, new URL(request.url).pathname) })
  app.use(async (c, next) => {
    const requestId = deps.requestId(c.env)
    c.set('requestId', requestId)
    c.set(
      'call',
      readCall(requestId, deps.connection(c.env), {
        header: (name) => c.req.header(name),
        bare: c.req.path.startsWith(credentialsPath),
      }),
    )
    await next()
    c.header('x-request-id', requestId)
  })

  for (const path of Object.keys(documentPaths) as DocumentPath[]) {
    app.get(path, (c) => send(c, documentFor(gateway, path, c.req.query('format'), c.req.header('if-none-match'))))
    app.options(path, (c) => c.body(null, 204, corsHeaders))
  }
  app.get('/v1/bundles/:trust_domain', (c) => {
    const bundle = gateway.federatedBundle(c.req.param('trust_domain'))
    if (bundle === undefined) throw new Refusal('not_found', 'no bundle of that trust domain')
    return send(c, chosenAnswer(chooseBundle(bundle, c.req.query('format')), c.req.header('if-none-match')))
  })
  app.options('/v1/bundles/:trust_domain', (c) => c.body(null, 204, corsHeaders))
  const description = createOpenApiDocument('public')
  app.get(openApiPath, async (c) => send(c, documentAnswer(await description(), c.req.header('if-none-match'))))
  app.options(openApiPath, (c) => c.body(null, 204, corsHeaders))
  for (const [path, route] of Object.entries(svidRoutes(gateway))) {
    app.post(path, async (c) => {
      c.set('operation', route.operation)
      requireMediaType(c.req.header('content-type'), 'application/json')
      return send(c, await route.answer(c.get('call'), await readBody(deps, c)))
    })
  }
  app.get('/v1/identities', async (c) => {
    c.set('operation', 'identities')
    return send(c, await identitiesAnswer(gateway, c.get('call')))
  })
  app.get(`${credentialsPath}:target`, async (c) => {
    const target = readTargetName(c.req.path)
    c.set('operation', 'exchange')
    const { search } = new URL(c.req.url)
    return send(c, await credentialsAnswer(gateway, c.get('call'), { target, search: search.slice(1) }, deps.now()))
  })
  for (const route of kvRoutes(gateway.secrets)) {
    app.on([...route.methods], `${kvPath}${route.folder}/*`, async (c) => {
      const target = withoutIssuerPath(gateway, targetOf(deps, c))
      c.set('operation', route.operation(target))
      const call = c.get('call')
      const answer = await route.answer({
        requestId: call.requestId,
        target,
        contentType: c.req.header('content-type'),
        readBody: () => readBody(deps, c),
        asker: (spiffeId) => ({ call, ...(spiffeId !== undefined && { spiffeId }) }),
      })
      return send(c, answer)
    })
  }
  app.post('/token', (c) => tokenRoute(deps, c))
  app.get('/livez', (c) => send(c, livezAnswer()))
  app.get('/readyz', async (c) => send(c, await readyzAnswer(gateway)))
  app.get('/readyz/documents', async (c) => send(c, await readyzDocumentsAnswer(gateway)))

  refuseOtherMethods(app)
  app.notFound((c) => answerError(deps, c, new Refusal('not_found', 'no such path')))
  app.onError((error, c) => answerError(deps, c, error))
  return app
}

async function tokenRoute(deps: AppDeps, c: AppContext): Promise<Response> {
  const call = c.get('call')
  try {
    requireMediaType(c.req.header('content-type'), 'application/x-www-form-urlencoded')
    const request = readTokenRequest(await readBody(deps, c), c.req.header('authorization') !== undefined)
    return send(c, await answerTokenRequest(deps.gateway, call, request, deps.now()))
  } catch (error) {
    const refusal = await noteRefusal(deps, { call, operation: 'jwt_svid' }, error)
    return send(c, oauthErrorAnswer(refusal, call.requestId))
  }
}

/** Whether the length is declared or not, no more than the limit is read. */
async function readBody({ isWholeBody }: AppDeps, c: AppContext): Promise<string> {
  const { body } = c.req.raw
  if (Number(c.req.header('content-length') ?? 0) > maxBodyBytes) throw tooLarge()
  if (body === null) return ''
  const bytes = await readBytes(body)
  if ((await isWholeBody?.(c.env)) === false) throw cutOff()
  return decodeBody(bytes)
}

async function readBytes(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body) {
      size += chunk.length
      if (size > maxBodyBytes) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (cause) {
    throw cause instanceof Refusal ? cause : cutOff(cause)
  }
  return Buffer.concat(chunks)
}

const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, OPTIONS',
  'access-control-allow-headers': 'if-none-match',
  'access-control-max-age': '86400',
}

async function answerError(deps: AppDeps, c: AppContext, error: unknown): Promise<Response> {
  const refusal = await noteRefusal(deps, { call: c.get('call'), operation: c.get('operation') }, error)
  return send(c, problemAnswer(refusal, c.get('requestId')))
}

function send(c: AppContext, { status, headers, body }: Answer): Response {
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  if (status === 304 || status === 204) return c.body(null, status)
  return c.body(body as string, status as ContentfulStatusCode)
}
