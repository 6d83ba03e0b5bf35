/**
 * A workload with an X.509-SVID of a gateway under test.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { makeWorkload, type Workload } from './csr.ts'
import { bearer, type Document, type TestGateway } from './gateway.ts'
import type { WireAnswer, WireTarget } from './wire.ts'

export interface Certified extends Workload {
  /** PEM, leaf first. */
  readonly certificates: string
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
  readonly joinTokenId: string
  /** The gateway, with the SVID as client certificate. */
  readonly target: WireTarget
}

const json = { 'content-type': 'application/json' }

/** Joins with a new token as `spiffe://example.org/vm/<name>`. */
export async function certify(gateway: TestGateway, name = 'one', body: Document = {}): Promise<Certified> {
  const workload = makeWorkload()
  const { token, id } = await gateway.joinToken({ name })
  const request = { method: 'POST', headers: bearer(token), body: JSON.stringify({ csr: workload.csr, ...body }) }
  const answer = await gateway.send('/v1/svid/x509', request)
  if (answer.status !== 200) throw new Error(answer.text)
  return { ...workload, ...withCertificates(gateway, workload, answer), joinTokenId: id }
}

export function withCertificates({ target }: TestGateway, { privateKey }: Workload, answer: WireAnswer) {
  const certificates = String(answer.json().certificates)
  const pems = certificates.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g) ?? []
  return {
    certificates,
    chain: pems.map((pem) => new X509Certificate(pem).raw),
    target: { ...target, ...(target.tls && { tls: { ...target.tls, cert: certificates, key: privateKey } }) },
  }
}

/** A request for an X.509-SVID, or with `audience` for a JWT-SVID, without a bearer proof. */
export function svidRequest(body: Document) {
  return { method: 'POST', headers: json, body: JSON.stringify(body) }
}
