// Reads tokens, one a line, and says of each whose it is, or why it is refused. With jose.
//   ISSUER, AUDIENCE, TRUST_DOMAIN: whose tokens, made for whom, about workloads of which trust domain
//   NODE_EXTRA_CA_CERTS: PEM that vouches for the issuer's certificate, where no public authority does
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { ISSUER = '', AUDIENCE = '', TRUST_DOMAIN = '' } = process.env

// Once, when the service starts: discovery says where the keys are.
const discovered = await fetch(`${ISSUER}/.well-known/openid-configuration`, { redirect: 'error' })
const { issuer, jwks_uri } = (await discovered.json()) as { issuer: string; jwks_uri: string }
if (issuer !== ISSUER) throw new Error('the discovery document is of another issuer')

// Kept for 10 minutes. A new `kid` has them read again, once in 30 seconds.
const keys = createRemoteJWKSet(new URL(jwks_uri))

async function verify(token: string) {
  const { payload } = await jwtVerify(token, keys, {
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ['ES256', 'RS256'],
    requiredClaims: ['sub', 'exp'],
  })
  if (!payload.sub?.startsWith(`spiffe://${TRUST_DOMAIN}/`)) throw new Error('no workload of this trust domain')
  return payload
}

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log('accepted', JSON.stringify(await verify(token)))
  } catch (error) {
    console.log('refused', (error as Error).message)
  }
}
