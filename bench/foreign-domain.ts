/**
 * A trust domain that the server federates with: its bundle, and SVIDs as its workloads have them.
 *
 * @module
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { parseCertificate } from '../src/protocol/certificate.ts'
import { formatPem } from '../src/protocol/encoding.ts'
import { createJwtSvidSigner } from '../src/protocol/jwt-svid.ts'
import type { Signer } from '../src/protocol/signer.ts'
import { parseSpiffeId, parseTrustDomain, type SpiffeId, type TrustDomain } from '../src/protocol/spiffe-id.ts'
import { formatTrustBundle } from '../src/protocol/trust-bundle.ts'
import { buildAuthorityCertificate, buildX509Svid, createX509Authority } from '../src/protocol/x509-svid.ts'

export interface ForeignDomain {
  readonly name: TrustDomain
  /** SPIFFE JSON: one X.509 authority, one JWT key, as a SPIRE that does not rotate right now. */
  readonly bundle: string
  /** JWT-SVIDs of one workload for `audience`, good for an hour; no two are the same. */
  readonly createTokens: (audience: string, count: number) => readonly string[]
  /** An X.509-SVID of the same workload, signed by the authority itself, and its key. PEM. */
  readonly certificate: { readonly cert: string; readonly key: string }
}

const hour = 3600
const backdatedMs = 300_000

export async function createForeignDomain(number: number, now: Date): Promise<ForeignDomain> {
  const name = parseTrustDomain(`domain-${number}.example`)
  const spiffeId = parseSpiffeId(`spiffe://${name}/ns/payments/sa/api`)
  const [x509, jwt] = [createSigner(), createSigner()]
  const root = await createRoot(name, x509, now)
  const authority = createX509Authority({ certificate: parseCertificate(root), signer: x509.signer, chain: [] })
  const bundle = formatTrustBundle({
    trustDomain: name,
    sequence: 1n,
    refreshHintSeconds: 300,
    x509Authorities: [root],
    jwtAuthorities: [{ kid: 'jwt-1', key: jwt.publicKey }],
  })
  const tokens = createJwtSvidSigner({ signer: jwt.signer, kid: 'jwt-1', issuer: `https://${name}` })
  return {
    name,
    bundle,
    createTokens: (audience, count) =>
      Array.from({ length: count }, () => {
        const jti = randomBytes(16).toString('base64url')
        const input = { spiffeId, audience: [audience], now: new Date(), ttlSeconds: hour, jti, claims: {} }
        const issued = tokens.issue(input)
        if (issued instanceof Promise) throw new Error('this signer answers at once')
        return issued.token
      }),
    certificate: await createCertificate(authority, spiffeId, now),
  }
}

function createRoot(trustDomain: TrustDomain, { signer }: KeyPair, now: Date): Promise<Uint8Array> {
  return buildAuthorityCertificate({
    trustDomain,
    publicKeyInfo: signer.publicKey,
    serialNumber: randomBytes(16),
    notBefore: new Date(now.getTime() - backdatedMs),
    notAfter: new Date(now.getTime() + 24 * hour * 1000),
    signer,
  })
}

async function createCertificate(
  authority: ReturnType<typeof createX509Authority>,
  spiffeId: SpiffeId,
  now: Date,
): Promise<ForeignDomain['certificate']> {
  const { privateKey, signer } = createSigner()
  const { certificate } = await buildX509Svid(authority, {
    spiffeId,
    publicKeyInfo: signer.publicKey,
    serialNumber: randomBytes(16),
    now,
    ttlSeconds: hour,
    dnsNames: [],
  })
  return {
    cert: formatPem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}

interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly signer: Signer
}

function createSigner(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    privateKey,
    publicKey,
    signer: {
      algorithm: 'ES256',
      publicKey: publicKey.export({ type: 'spki', format: 'der' }),
      sign: (data) => sign('sha256', data, privateKey),
    },
  }
}
