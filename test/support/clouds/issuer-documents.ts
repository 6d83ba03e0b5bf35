/**
 * How a double gets an issuer's discovery document and keys: over TLS, by itself, with a deadline and no redirects.
 *
 * @module
 */
import { request } from 'node:https'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'

export interface IssuerNetwork {
  /** PEM of the CAs that everybody trusts. */
  readonly publicCas: readonly string[]
  /**
   * `host` or `host:port` of a URL → `127.0.0.1:port` to connect to; TLS still checks the host's name. What is not
   * in it cannot be reached. Read at each connection, so that a test may change it.
   */
  readonly resolve?: Readonly<Record<string, string>>
  /** For each document; 5,000 by default. */
  readonly deadlineMs?: number
}

export interface KeyCachePolicy {
  /** How long verified keys serve without another look. */
  readonly maxAgeSeconds: number
  /** How long after a fetch an unknown `kid` does not cause another. */
  readonly unknownKidPauseSeconds: number
}

export type FetchFailure =
  | 'unreachable'
  | 'tls'
  | 'deadline'
  | 'redirect'
  | 'status'
  | 'not_json'
  | 'too_large'
  | 'address'

export interface FetchedDocument {
  readonly failure?: FetchFailure
  /** Of an answer that was no 200. */
  readonly status?: number
  readonly members: Readonly<Record<string, unknown>>
  /** Fingerprints of the last certificate of the chain, lower-case hex without colons. */
  readonly topCertificate?: { readonly sha1: string; readonly sha256: string }
}

export type Jwk = Readonly<Record<string, unknown>>

export interface IssuerDocuments {
  readonly discovery: FetchedDocument
  /** Not asked for where discovery failed or names none. */
  readonly jwks: FetchedDocument | undefined
  /** The members of `keys` that are objects. */
  readonly keys: readonly Jwk[]
  readonly fetchedAt: Date
}

const defaultDeadlineMs = 5000
const maxDocumentBytes = 1024 * 1024

export interface IssuerCache {
  /** Those that are kept, where they are fresh and have the key or may not be fetched again yet; else from the issuer. */
  readonly load: (issuer: string, kid: string) => Promise<IssuerDocuments>
  /** To be called with documents whose key verified a token. */
  readonly keep: (issuer: string, documents: IssuerDocuments) => void
}

/** @param privateCas PEM of CAs that TLS accepts too, for a caller that looks at the chain itself */
export function createIssuerCache(
  network: IssuerNetwork,
  policy: KeyCachePolicy,
  now: () => Date,
  privateCas: readonly string[] = [],
): IssuerCache {
  const kept = new Map<string, IssuerDocuments>()

  function mayServe(documents: IssuerDocuments, kid: string): boolean {
    const ageSeconds = (now().getTime() - documents.fetchedAt.getTime()) / 1000
    const known = documents.keys.some((key) => key['kid'] === kid)
    return ageSeconds < (known ? policy.maxAgeSeconds : policy.unknownKidPauseSeconds)
  }

  const underWay = new Map<string, Promise<IssuerDocuments>>()

  /** Calls that come while it is being asked wait for the same answer. */
  function fetchOnce(issuer: string): Promise<IssuerDocuments> {
    const known = underWay.get(issuer)
    if (known) return known
    const cas = [...network.publicCas, ...privateCas]
    const fetching = fetchIssuer(issuer, network, cas, now()).finally(() => underWay.delete(issuer))
    underWay.set(issuer, fetching)
    return fetching
  }

  return {
    async load(issuer, kid) {
      const documents = kept.get(issuer)
      return documents && mayServe(documents, kid) ? documents : fetchOnce(issuer)
    },
    keep: (issuer, documents) => void kept.set(issuer, documents),
  }
}

async function fetchIssuer(
  issuer: string,
  network: IssuerNetwork,
  cas: readonly string[],
  fetchedAt: Date,
): Promise<IssuerDocuments> {
  // OpenID Connect Discovery 1.0 §4: a terminating slash goes before the path is appended.
  const discovery = await fetchDocument(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, network, cas)
  const jwksUri = discovery.members['jwks_uri']
  if (discovery.failure || typeof jwksUri !== 'string') return { discovery, jwks: undefined, keys: [], fetchedAt }
  const jwks = await fetchDocument(jwksUri, network, cas)
  return { discovery, jwks, keys: readKeys(jwks.members['keys']), fetchedAt }
}

export function readKeys(keys: unknown): readonly Jwk[] {
  return Array.isArray(keys) ? keys.filter((key) => typeof key === 'object' && key !== null) : []
}

function fetchDocument(address: string, network: IssuerNetwork, cas: readonly string[]): Promise<FetchedDocument> {
  const url = URL.parse(address)
  if (url?.protocol !== 'https:') return Promise.resolve({ failure: 'address', members: {} })
  const target = network.resolve?.[url.host]
  if (target === undefined) return Promise.resolve({ failure: 'unreachable', members: {} })
  return fetchFrom(url, target, cas, network.deadlineMs ?? defaultDeadlineMs)
}

function fetchFrom(url: URL, target: string, cas: readonly string[], deadlineMs: number): Promise<FetchedDocument> {
  const { hostname, port } = new URL(`https://${target}`)
  const { promise, resolve } = Promise.withResolvers<FetchedDocument>()
  const fail = (failure: FetchFailure) => resolve({ failure, members: {} })
  const asked = request({
    host: hostname,
    port,
    path: `${url.pathname}${url.search}`,
    servername: url.hostname,
    headers: { host: url.host, accept: 'application/json' },
    ca: [...cas],
    agent: false,
  })
  const deadline = setTimeout(() => {
    fail('deadline')
    asked.destroy()
  }, deadlineMs)
  asked.on('error', (error: NodeJS.ErrnoException) => fail(isNetworkError(error) ? 'unreachable' : 'tls'))
  asked.on('response', (answer) => {
    const topCertificate = readTopCertificate(answer.socket as TLSSocket)
    collect(answer).then(
      (text) => resolve({ ...readAnswer(answer.statusCode ?? 0, text), topCertificate }),
      () => fail('unreachable'),
    )
  })
  asked.end()
  return promise.finally(() => clearTimeout(deadline))
}

function isNetworkError(error: NodeJS.ErrnoException): boolean {
  return /^(ECONN|EPIPE|EHOST|ENOT|ETIME|EAI)/.test(error.code ?? '')
}

async function collect(answer: AsyncIterable<Buffer>): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer) {
    length += chunk.length
    if (length > maxDocumentBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function readAnswer(status: number, text: string | undefined): FetchedDocument {
  if (status >= 300 && status < 400) return { failure: 'redirect', status, members: {} }
  if (status !== 200) return { failure: 'status', status, members: {} }
  if (text === undefined) return { failure: 'too_large', members: {} }
  try {
    const members: unknown = JSON.parse(text)
    if (typeof members === 'object' && members !== null) return { members: members as FetchedDocument['members'] }
  } catch {
    // Not JSON is what the next line says.
  }
  return { failure: 'not_json', members: {} }
}

function readTopCertificate(socket: TLSSocket): { readonly sha1: string; readonly sha256: string } {
  let certificate: DetailedPeerCertificate = socket.getPeerCertificate(true)
  while (certificate.issuerCertificate && certificate.issuerCertificate !== certificate)
    certificate = certificate.issuerCertificate
  const plain = (fingerprint: string) => fingerprint.replaceAll(':', '').toLowerCase()
  return { sha1: plain(certificate.fingerprint), sha256: plain(certificate.fingerprint256) }
}
