/**
 * An X.509-SVID that stays fresh: the first for the token of the platform, each later one for the one before.
 *
 * The private key is made here and leaves this process only where the program hands it to TLS. Nothing is on disk.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md X509-SVID}
 * @module
 */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { buildCertificateRequest } from './certificate-request.ts'
import { postJson, RefusedError } from './https-call.ts'

export interface X509Svid {
  readonly spiffeId: string
  /** PEM, leaf first. */
  readonly certificates: string
  /** PEM, PKCS#8. */
  readonly key: string
  /** PEM: the authorities of the trust domain, which peers are checked against. */
  readonly bundle: string
  readonly serialNumber: string
  readonly expiresAt: Date
}

export interface SvidSourceOptions {
  /** Of Apostille, such as `https://id.example.org`. */
  readonly server: string
  /** PEM: what Apostille's own certificate is checked against the first time. */
  readonly caFile: string
  /** The platform's token; read anew each time, as the platform replaces it. */
  readonly tokenFile: string
  /** What the identity rule gives by default. */
  readonly ttlSeconds?: number | undefined
  /** Half of the certificate's life by default. */
  readonly renewAfterSeconds?: number | undefined
  /** A renewal that failed; it is tried again in a second, and the certificate at hand serves meanwhile. */
  readonly onTrouble?: (reason: string) => void
}

export interface SvidSource {
  readonly current: () => X509Svid
  readonly onRotation: (listener: (svid: X509Svid) => void) => void
  readonly close: () => void
}

const retryMs = 1000

/** Resolves with a certificate in hand. @throws {RefusedError} when Apostille gives none */
export async function createSvidSource(options: SvidSourceOptions): Promise<SvidSource> {
  const listeners: ((svid: X509Svid) => void)[] = []
  let current = await requestByToken(options, await readFile(options.caFile, 'utf8'))
  let timer = setTimeout(renew, renewAfterMs(current, options))

  async function renew(): Promise<void> {
    try {
      current = await requestByCertificate(options, current)
      for (const listener of listeners) listener(current)
      timer = setTimeout(renew, renewAfterMs(current, options))
    } catch (error) {
      options.onTrouble?.(error instanceof Error ? error.message : String(error))
      timer = setTimeout(renew, retryMs)
    }
  }

  return {
    current: () => current,
    onRotation: (listener) => void listeners.push(listener),
    close: () => clearTimeout(timer),
  }
}

function renewAfterMs({ expiresAt }: X509Svid, { renewAfterSeconds }: SvidSourceOptions): number {
  return renewAfterSeconds ? renewAfterSeconds * 1000 : (expiresAt.getTime() - Date.now()) / 2
}

async function requestByToken(options: SvidSourceOptions, ca: string): Promise<X509Svid> {
  const token = (await readFile(options.tokenFile, 'utf8')).trim()
  return requestSvid(options, { ca, headers: { authorization: `Bearer ${token}` } })
}

/** A certificate that is no proof any more (its authority was tainted, its time of renewal is over) leaves the token. */
async function requestByCertificate(options: SvidSourceOptions, held: X509Svid): Promise<X509Svid> {
  try {
    return await requestSvid(options, { ca: held.bundle, cert: held.certificates, key: held.key })
  } catch (error) {
    const expired = held.expiresAt < new Date()
    if (!expired && !(error instanceof RefusedError && error.status === 401)) throw error
    return requestByToken(options, held.bundle)
  }
}

interface X509SvidDocument {
  readonly spiffe_id: string
  readonly certificates: string
  readonly bundle: string
  readonly expires_at: string
}

async function requestSvid(options: SvidSourceOptions, proof: RequestOptions): Promise<X509Svid> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const body = { csr: buildCertificateRequest({ privateKey, publicKey }), ttl_seconds: options.ttlSeconds }
  const answer = (await postJson(`${options.server}/v1/svid/x509`, body, proof)) as X509SvidDocument
  return readSvid(answer, privateKey)
}

function readSvid(answer: X509SvidDocument, privateKey: KeyObject): X509Svid {
  const leaf = new X509Certificate(answer.certificates)
  if (!leaf.checkPrivateKey(privateKey)) throw new Error('the certificate is for another key')
  return {
    spiffeId: answer.spiffe_id,
    certificates: answer.certificates,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    bundle: answer.bundle,
    serialNumber: leaf.serialNumber.toLowerCase(),
    expiresAt: new Date(answer.expires_at),
  }
}
