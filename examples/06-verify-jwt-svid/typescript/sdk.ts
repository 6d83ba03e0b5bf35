// Reads tokens, one a line, and says of each whose it is, or why it is refused. With the SDK of Apostille.
//   ISSUER, AUDIENCE, TRUST_DOMAIN: whose tokens, made for whom, about workloads of which trust domain
//   NODE_EXTRA_CA_CERTS: PEM that vouches for the issuer's certificate, where no public authority does
import { createInterface } from 'node:readline'
// In a project of yours: from 'apostille/node'
import { createIssuerKeys, verifyJwtSvid } from '../../../src/node.ts'

const { ISSUER = '', AUDIENCE = '', TRUST_DOMAIN = '' } = process.env

// Once, when the service starts: keys are found by discovery, and kept. A new `kid` has them read again, once in 30 seconds.
const keys = createIssuerKeys({ issuer: ISSUER, trustDomain: TRUST_DOMAIN })

for await (const token of createInterface({ input: process.stdin })) {
  try {
    const { claims } = await verifyJwtSvid(token, { keys, audience: AUDIENCE })
    console.log('accepted', JSON.stringify(claims))
  } catch (error) {
    console.log('refused', (error as Error).message)
  }
}
