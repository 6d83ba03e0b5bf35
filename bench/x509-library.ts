/**
 * An X.509-SVID from a CSR in process, by our own code and by @peculiar/x509: request read and its signature checked,
 * certificate built and signed.
 *
 * @module
 */
import 'reflect-metadata'
import { generateKeyPairSync, sign, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { parseCertificate } from '../src/protocol/certificate.ts'
import { readCertificateRequest } from '../src/protocol/certificate-request.ts'
import { formatHex } from '../src/protocol/encoding.ts'
import { parseSpiffeId, parseTrustDomain } from '../src/protocol/spiffe-id.ts'
import { buildAuthorityCertificate, buildX509Svid, createX509Authority } from '../src/protocol/x509-svid.ts'
import { createRandomPool } from '../src/runtime/random-pool.ts'
import type { Figure } from './figure.ts'

type Issue = (csr: string) => Promise<unknown>

const spiffeId = parseSpiffeId('spiffe://example.org/ns/payments/sa/api')
const ttlSeconds = 3600
const warmUpMs = 1500
const sliceMs = 200
/** From the pool of the server, for both. */
const randomBytes = createRandomPool()
const serialNumber = () => randomBytes(16)
const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export const x509Library: Figure = {
  rows: [
    {
      name: 'x509-library',
      what: 'X.509-SVIDs a second in process, by our own code against @peculiar/x509, same CSRs',
      unit: '×',
      bound: { kind: 'at least', required: 30, aim: 40 },
    },
  ],
  async prepare({ workload: { csrs } }) {
    const { ours, theirs } = await createIssuers()
    const next = (issue: Issue) => {
      let at = 0
      return () => issue(csrs[at++ % csrs.length] ?? '')
    }
    const [issueOurs, issueTheirs] = [next(ours), next(theirs)]
    await perSecond(issueTheirs, warmUpMs)
    await perSecond(issueOurs, warmUpMs)
    return async () => {
      const library = await measure(issueTheirs)
      const own = await measure(issueOurs)
      return { values: { 'x509-library': own / library }, seen: { own, library } }
    }
  },
}

/** What the other one left to the garbage collector is not counted. */
async function measure(issue: () => Promise<unknown>): Promise<number> {
  await perSecond(issue, sliceMs / 4)
  return perSecond(issue, sliceMs)
}

async function perSecond(issue: () => Promise<unknown>, forMs: number): Promise<number> {
  const startedMs = performance.now()
  let issued = 0
  let elapsedMs = 0
  for (; elapsedMs < forMs; elapsedMs = performance.now() - startedMs) {
    await issue()
    issued += 1
  }
  return (issued / elapsedMs) * 1000
}

/** Both sign with one authority. */
async function createIssuers(): Promise<{ readonly ours: Issue; readonly theirs: Issue }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' })
  const signer = {
    algorithm: 'ES256' as const,
    publicKey: publicKeyInfo,
    sign: (data: Uint8Array) => sign('sha256', data, privateKey),
  }
  const now = Date.now()
  const der = await buildAuthorityCertificate({
    trustDomain: parseTrustDomain('example.org'),
    publicKeyInfo,
    serialNumber: serialNumber(),
    notBefore: new Date(now - 300_000),
    notAfter: new Date(now + 7 * 86_400_000),
    signer,
  })
  const authority = createX509Authority({ certificate: parseCertificate(der), signer, chain: [] })
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    privateKey.export({ type: 'pkcs8', format: 'der' }),
    keyAlgorithm,
    false,
    ['sign'],
  )
  return {
    ours: async (csr) =>
      buildX509Svid(authority, {
        spiffeId,
        publicKeyInfo: readCertificateRequest(csr).publicKeyInfo,
        serialNumber: serialNumber(),
        now: new Date(),
        ttlSeconds,
        dnsNames: [],
      }),
    theirs: createLibraryIssuer(new x509.X509Certificate(der), signingKey),
  }
}

function createLibraryIssuer(issuer: x509.X509Certificate, signingKey: webcrypto.CryptoKey): Issue {
  x509.cryptoProvider.set(webcrypto)
  return async (csr) => {
    const request = new x509.Pkcs10CertificateRequest(csr)
    if (!(await request.verify())) throw new Error('the signature of the request is not of its key')
    const now = Date.now()
    return x509.X509CertificateGenerator.create({
      serialNumber: formatHex(serialNumber()),
      subject: 'O=Apostille',
      issuer: issuer.subject,
      notBefore: new Date(now - 30_000),
      notAfter: new Date(now + ttlSeconds * 1000),
      signingAlgorithm: keyAlgorithm,
      publicKey: request.publicKey,
      signingKey,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.BasicConstraintsExtension(false, undefined, true),
        await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: spiffeId.uri }]),
      ],
    })
  }
}
