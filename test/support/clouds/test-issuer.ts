/**
 * An issuer that publishes its documents over TLS as it is told, and signs what it is told.
 *
 * @module
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { startHttpsServer } from '../https-server.ts'
import { ecSigner, hmacSigner, type Members, rsaSigner, signToken } from '../raw-token.ts'
import type { TestAuthority } from '../tls.ts'

/** What it does when it is asked for a document. `hang` answers never. */
export type IssuerMood = 'well' | 'hang' | 'redirect' | 'failing' | 'not json' | 'jwks hangs' | 'jwks redirects'

export interface IssuerKeys {
  readonly rsa: KeyObject
  readonly ec: KeyObject
  readonly p384: KeyObject
}

export interface TestIssuer {
  /** Such as `https://id.example.org`, without a port whatever it listens on. */
  readonly issuer: string
  /** For the `resolve` of a double. */
  readonly resolve: Record<string, string>
  /** What it publishes: `rsa`, `ec` and `p384` are the `kid` of its keys. */
  discovery: Record<string, unknown>
  jwks: Record<string, unknown>[]
  mood: IssuerMood
  /** Paths that it was asked for. */
  readonly fetched: string[]
  /** Signed with `rsa` by RS256 unless `header` says another `kid` and `alg`. */
  readonly token: (claims: Members, header?: Members) => string
  readonly close: () => Promise<void>
}

/** Takes a moment: once for each test file. */
export function makeIssuerKeys(): IssuerKeys {
  return {
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  }
}

const algorithmOf = { rsa: 'RS256', ec: 'ES256', p384: 'ES384' } as const

/** The public half, as `use: sig`. */
export function publishedJwk(keys: IssuerKeys, name: keyof IssuerKeys, kid: string = name): Record<string, unknown> {
  const jwk = createPublicKey(keys[name]).export({ format: 'jwk' })
  return { ...jwk, kid, alg: algorithmOf[name], use: 'sig' }
}

/** @param issuer the default is `https://id.example.org` */
export async function startTestIssuer(
  authority: TestAuthority,
  keys: IssuerKeys,
  issuer = 'https://id.example.org',
): Promise<TestIssuer> {
  const { host, pathname } = new URL(issuer)
  const base = pathname.replace(/\/$/, '')
  const server = await startHttpsServer(await authority.issue([new URL(issuer).hostname]), ({ url = '' }, response) => {
    made.fetched.push(url)
    if (url === `${base}/.well-known/openid-configuration`) answer(response, 'discovery', made.discovery)
    else if (url === `${base}/keys`) answer(response, 'jwks', { keys: made.jwks })
    else response.writeHead(404).end()
  })

  function answer(response: ServerResponse, document: 'discovery' | 'jwks', members: object): void {
    const { mood } = made
    if (mood === 'hang' || (mood === 'jwks hangs' && document === 'jwks')) return
    if (mood === 'redirect' || (mood === 'jwks redirects' && document === 'jwks'))
      response.writeHead(302, { location: `${issuer}/elsewhere` }).end()
    else if (mood === 'failing') response.writeHead(500).end()
    else
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(mood === 'not json' ? '<html>' : JSON.stringify(members))
  }

  const made: TestIssuer = {
    issuer,
    resolve: { [host]: `127.0.0.1:${server.port}` },
    discovery: {
      issuer,
      jwks_uri: `${issuer.replace(/\/$/, '')}/keys`,
      claims_supported: ['aud', 'exp', 'iat', 'iss', 'sub'],
      response_types_supported: ['id_token'],
      id_token_signing_alg_values_supported: ['RS256', 'ES256'],
      subject_types_supported: ['public'],
    },
    jwks: [publishedJwk(keys, 'rsa'), publishedJwk(keys, 'ec'), publishedJwk(keys, 'p384')],
    mood: 'well',
    fetched: [],
    token: (claims, header = {}) => signWith(keys, { alg: 'RS256', kid: 'rsa', typ: 'JWT', ...header }, claims),
    close: server.close,
  }
  return made
}

/** Says `alg` and `kid` as they are given; the key follows from `alg`. */
function signWith(keys: IssuerKeys, header: Members, claims: Members): string {
  const alg = String(header['alg'])
  if (alg === 'ES384') {
    const signer = (data: Buffer) => sign('sha384', data, { key: keys.p384, dsaEncoding: 'ieee-p1363' })
    return signToken(header, claims, signer)
  }
  if (alg === 'ES256') return signToken(header, claims, ecSigner(keys.ec))
  if (alg === 'HS256') return signToken(header, claims, hmacSigner('secret'))
  const hash = `sha${alg.slice(2)}`
  return signToken(header, claims, rsaSigner(keys.rsa, { hash, pss: alg.startsWith('PS') }))
}
