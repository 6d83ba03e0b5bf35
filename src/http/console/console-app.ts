/**
 * The console: pages for the operator of this machine, which show and never change anything. They are rendered here, and
 * need no script.
 *
 * It listens on loopback, where every program of the machine and every page in a browser can send requests, so it says
 * nothing that is secret, and takes no name but its own: with another one a page of somebody else could read it by DNS
 * rebinding.
 *
 * @module
 */
import { Hono } from 'hono'
import { html } from 'hono/html'
import type { Federation } from '../../core/federation.ts'
import type { Gateway } from '../../core/gateway.ts'
import { isLoopback } from '../../core/listen-address.ts'
import type { Operator } from '../../core/operator.ts'
import type { Records } from '../../core/records.ts'
import { Refusal, refusals } from '../../core/refusal.ts'
import type { Syncs } from '../../core/syncs.ts'
import type { AdminDeps } from '../admin-app.ts'
import { refusalOf } from '../problem.ts'
import { filtersOf } from '../routes/records.ts'
import { authoritiesPage } from './authorities-page.ts'
import { federationPage } from './federation-page.ts'
import { identitiesPage } from './identities-page.ts'
import { type Markup, page, pages } from './layout.ts'
import { overviewPage } from './overview-page.ts'
import { filterFields, givenIn, type RecordFilter, recordsPage } from './records-page.ts'
import { style } from './style.ts'
import { syncsPage } from './syncs-page.ts'
import { targetsPage } from './targets-page.ts'

export interface ConsoleDeps extends Pick<AdminDeps, 'metrics' | 'telemetry' | 'newRequestId'> {
  readonly gateway: Pick<Gateway, 'configured' | 'configurationRefused' | 'ready'>
  readonly operator: Pick<Operator, 'listAuthorities'>
  readonly federation: Pick<Federation, 'list'>
  readonly records: Pick<Records, 'list'>
  readonly syncs: Pick<Syncs, 'list'>
  readonly now: () => Date
}

const recordsOnPage = 50

/** Nothing of other origins, no script, no frame, and forms lead nowhere else. */
const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

export function createConsoleApp(deps: ConsoleDeps): Hono {
  const app = new Hono()
  app.use(async (c, next) => {
    for (const [name, value] of Object.entries(securityHeaders)) c.header(name, value)
    if (!isLoopbackName(c.req.header('host'))) return c.text('This console answers to loopback names only.', 421)
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD')
      return c.text('This console only shows.', 405, { allow: 'GET, HEAD' })
    await next()
    return undefined
  })
  app.get('/console.css', (c) => c.body(style, 200, { 'content-type': 'text/css; charset=utf-8' }))
  app.get('/metrics', async (c) => {
    const { contentType, body } = await deps.metrics()
    return c.body(body, 200, { 'content-type': contentType })
  })
  for (const { path, title } of pages)
    app.get(path, async (c) => {
      const content = await contents[path](deps, new URL(c.req.url).searchParams)
      return c.html(frame(deps, path, title, content))
    })
  app.notFound((c) => c.html(frame(deps, c.req.path, 'Nothing is here', paragraph('There is no such page.')), 404))
  app.onError((error, c) => {
    const refusal = refusalOf(error)
    const requestId = deps.newRequestId()
    if (refusal.code === 'internal')
      deps.telemetry.log('error', 'a page of the console failed unexpectedly', {
        request_id: requestId,
        error: error instanceof Error ? `${error.name}: ${error.message}` : typeof error,
      })
    // Who reads it is the operator.
    const text =
      refusal.code === 'internal' ? `The log has more of it at ${requestId}.` : (refusal.detail ?? refusal.reason)
    return c.html(frame(deps, c.req.path, refusal.message, paragraph(text)), refusals[refusal.code].status)
  })
  return app
}

function frame({ gateway, now }: ConsoleDeps, path: string, title: string, content: Markup): Markup {
  return page({ title, path, now: now(), trustDomain: gateway.configured().config.trustDomain }, content)
}

type Content = (deps: ConsoleDeps, query: URLSearchParams) => Markup | Promise<Markup>

const contents: Readonly<Record<(typeof pages)[number]['path'], Content>> = {
  async '/'({ gateway, operator, federation, now }) {
    const problem = await problemOf(gateway)
    return overviewPage({
      config: gateway.configured().config,
      configurationRefused: gateway.configurationRefused(),
      ...(problem !== undefined && { problem }),
      authorities: operator.listAuthorities(),
      peers: federation.list(),
      now: now(),
    })
  },
  '/identities': ({ gateway }) => identitiesPage(gateway.configured().config),
  '/authorities': ({ operator, now }) => authoritiesPage(operator.listAuthorities(), now()),
  '/federation': ({ federation, now }) => federationPage(federation.list(), now()),
  '/targets': ({ gateway }) => targetsPage(gateway.configured().config.targets),
  '/syncs': async ({ syncs, now }) => syncsPage(await syncs.list(), now()),
  async '/records'({ records }, query) {
    const filter = readFilter(query)
    const after = query.get('after') ?? ''
    const found = await records.list({
      filters: filtersOf(givenIn(filter)),
      limit: recordsOnPage,
      newestFirst: true,
      ...(after !== '' && { after }),
    })
    return recordsPage(filter, found)
  },
}

async function problemOf(gateway: Pick<Gateway, 'ready'>): Promise<string | undefined> {
  try {
    await gateway.ready()
    return undefined
  } catch (error) {
    return error instanceof Refusal ? error.reason : 'an unexpected error, which the log has'
  }
}

function readFilter(query: URLSearchParams): RecordFilter {
  return Object.fromEntries(
    filterFields.map(({ name }) => [name, (query.get(name) ?? '').trim().slice(0, 2048)]),
  ) as RecordFilter
}

/** `localhost` and all below it are loopback (RFC 6761 §6.3). */
function isLoopbackName(host: string | undefined): boolean {
  const name = host?.replace(/:\d{1,5}$/, '').toLowerCase() ?? ''
  return name.endsWith('.localhost') || isLoopback(name.replace(/^\[(.*)\]$/, '$1'))
}

const paragraph = (text: string): Markup => html`<p>${text}</p>`
