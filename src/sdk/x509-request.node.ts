/**
 * One X.509-SVID asked for: by the SVID at hand, or by the proof of the platform.
 *
 * @module
 */
import { ProtocolError } from '../protocol/errors.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import { ApostilleError } from './apostille-error.ts'
import { type Ask, createAsk } from './ask.ts'
import { type ClientOptions, createClient } from './client.ts'
import { readGatewayTrust } from './gateway-trust.node.ts'
import { createHttpsFetch, readTlsFiles, type TlsMaterial } from './https-fetch.node.ts'
import { makeKey, requestText } from './new-key.node.ts'
import { readNodeOptions } from './node-options.node.ts'
import type { IssuedX509Svid } from './svid-answer.ts'
import type { X509SourceOptions } from './x509-source.node.ts'
import { readX509Svid, type X509Svid } from './x509-svid.node.ts'

export interface SvidRequest {
  /** @throws {ApostilleError} */
  (
    held: X509Svid | undefined,
    bundles: readonly TrustBundle[],
  ): Promise<{ readonly svid: X509Svid; readonly bundle: string }>
  /** What asks the gateway for what everybody may read. */
  readonly ask: (bundles: readonly TrustBundle[]) => Ask
}

const deadlineMs = 15_000

/** @throws {ApostilleError} `usage` */
export function createSvidRequest(options: X509SourceOptions): SvidRequest {
  const { certFile, keyFile, now = () => new Date() } = options
  const env = options.env ?? process.env
  const proof = options.token ?? options.tokenFile ?? certFile ?? env['APOSTILLE_TOKEN_FILE']
  const usual = readNodeOptions(proof === undefined && options.startFrom ? { ...options, token: noProof } : options)
  const caFile = options.caFile ?? env['APOSTILLE_CA_FILE']
  const isTls = String(usual.server).startsWith('https:')

  const clientOptions = (bundles: readonly TrustBundle[], own: () => Promise<TlsMaterial>): ClientOptions => ({
    ...usual,
    deadlineMs: options.deadlineMs ?? deadlineMs,
    fetch: createHttpsFetch(async () => ({ ...(await readGatewayTrust(caFile, bundles)), ...(await own()) })),
  })

  async function bySvid(held: X509Svid, bundles: readonly TrustBundle[]) {
    const {
      token: _unused,
      authenticator: _other,
      ...rest
    } = clientOptions(bundles, async () => ({
      cert: held.certificates,
      key: held.privateKey,
    }))
    return obtain(rest, options)
  }

  function byPlatform(bundles: readonly TrustBundle[]) {
    const files = { ...(certFile !== undefined && { certFile }), ...(keyFile !== undefined && { keyFile }) }
    return obtain(
      clientOptions(bundles, () => readTlsFiles(files)),
      options,
    )
  }

  async function request(held: X509Svid | undefined, bundles: readonly TrustBundle[]) {
    if (held === undefined || !isTls || held.expiresAt <= now()) return byPlatform(bundles)
    try {
      return await bySvid(held, bundles)
    } catch (error) {
      if (!isNoProof(error)) throw error
      return byPlatform(bundles)
    }
  }

  return Object.assign(request, {
    ask: (bundles: readonly TrustBundle[]) => createAsk(clientOptions(bundles, async () => ({}))),
  })
}

function noProof(): never {
  throw new ApostilleError('the SVID at hand is no proof any more, and no other proof is named', { code: 'token' })
}

function isNoProof(error: unknown): boolean {
  return error instanceof ApostilleError && (error.status === 401 || error.status === 403)
}

async function obtain(client: ClientOptions, { keyType = 'ec-p256', ttlSeconds }: X509SourceOptions) {
  const key = await makeKey(keyType)
  const csr = await requestText(key)
  const answer = await createClient(client).getX509Svid({ csr, ...(ttlSeconds !== undefined && { ttlSeconds }) })
  const svid = readAnswer(answer, key)
  return { svid, bundle: answer.bundle }
}

function readAnswer(answer: IssuedX509Svid, { privateKey }: Awaited<ReturnType<typeof makeKey>>): X509Svid {
  try {
    const svid = readX509Svid(answer.certificates, privateKey)
    if (svid.spiffeId.uri === answer.spiffeId) return svid
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new ApostilleError(`the certificate of the answer is none (${cause.message})`, {
      code: 'unexpected_answer',
      cause,
    })
  }
  throw new ApostilleError('the certificate of the answer is not for its SPIFFE ID', { code: 'unexpected_answer' })
}
