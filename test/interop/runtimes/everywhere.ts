/**
 * What the part of the SDK that is for everywhere does, told as JSON: the same on each runtime. There is no network; `given`
 * has what a gateway would answer. When it is bundled, the package as it ships takes the place of the sources.
 *
 * @module
 */

import { Hono } from 'hono'
import {
  ApostilleError,
  authorizeMatching,
  createClient,
  createIssuerKeys,
  createJwtSource,
  ProtocolError,
  parseTrustBundle,
  parseTrustDomain,
  verifyJwtSvid,
} from '../../../src/index.ts'
import { type CallerEnv, requireSvid } from '../../../src/sdk/middleware/hono.ts'

export interface Given {
  readonly issuer: string
  readonly audience: string
  readonly token: string
  readonly bundle: string
  readonly discovery: string
  readonly keys: string
}

export async function runEverywhere(given: Given): Promise<Readonly<Record<string, unknown>>> {
  const { issuer, audience, token } = given
  const asked: string[] = []
  const fetch = async (url: string, init: { readonly method: string; readonly body?: string }) => {
    asked.push(`${init.method} ${new URL(url).pathname}`)
    return answer(given, new URL(url).pathname, init.body)
  }
  const client = createClient({ server: issuer, token: 'proof', fetch })
  const bundle = parseTrustBundle(parseTrustDomain('example.org'), await client.getBundle())
  const byIssuer = createIssuerKeys({ issuer, trustDomain: 'example.org', fetch })
  const jwt = { keys: byIssuer, audience }
  const authorize = authorizeMatching('spiffe://example.org/*')
  const app = new Hono<CallerEnv>()
    .use(requireSvid({ jwt, authorize }))
    .get('/', (c) => c.text(c.get('caller').spiffeId.uri))
  const status = async (authorization: string) => (await app.request('/', { headers: { authorization } })).status
  return {
    offline: (await verifyJwtSvid(token, { keys: bundle, audience })).spiffeId.uri,
    byIssuer: (await verifyJwtSvid(token, { ...jwt, authorize })).spiffeId.uri,
    tampered: await codeOf(verifyJwtSvid(`${token.slice(0, -4)}AAAA`, { keys: bundle, audience })),
    source: (await createJwtSource({ server: issuer, token: 'proof', fetch }).get(audience)).token === token,
    refused: await codeOf(client.listIdentities()),
    written: (await client.kv.write('web/a', { b: 1 })).version,
    middleware: [await status(`Bearer ${token}`), await status('Bearer x')],
    asked,
  }
}

function answer({ token, bundle, discovery, keys }: Given, path: string, body: string | undefined): Response {
  const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status })
  if (path === '/v1/bundle') return new Response(bundle)
  if (path === '/.well-known/openid-configuration') return new Response(discovery)
  if (path === '/keys') return new Response(keys)
  if (path === '/v1/svid/jwt' && body !== undefined)
    return json({ spiffe_id: 'spiffe://example.org/web', token, expires_at: new Date(Date.now() + 300_000) })
  if (path === '/v1/kv/data/web/a') return json({ data: { version: 1, created_time: new Date(), destroyed: false } })
  return json({ title: 'No', code: 'proof_rejected', request_id: 'abc' }, 401)
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'nothing'
  } catch (error) {
    if (error instanceof ApostilleError || error instanceof ProtocolError) return error.code
    throw error
  }
}
