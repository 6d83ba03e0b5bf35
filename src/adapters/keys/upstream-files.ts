/**
 * An X.509 authority above ours, in PEM files. They are read whenever an intermediate is made, so that a replaced file
 * counts from the next one on.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../core/refusal.ts'
import type { ReadUpstreamAuthority, UpstreamAuthority } from '../../core/upstream.ts'
import { fitsAlgorithm, type SignatureAlgorithm, signWithKey } from '../../protocol/algorithms.ts'
import { type Certificate, parseCertificate } from '../../protocol/certificate.ts'
import { parsePem } from '../../protocol/encoding.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { Signer } from '../../protocol/signer.ts'
import type { FileReader } from '../watched-file.ts'

/** `certificate` may go on with the intermediates above it; `bundle` holds the roots. */
export interface UpstreamFiles {
  readonly certificate: string
  readonly key: string
  readonly bundle: string
}

type TextReader = Pick<FileReader, 'read'>

const algorithmsTried: readonly SignatureAlgorithm[] = ['ES256', 'ES384', 'ES512', 'RS256']

/** Reading rejects with a {@link Refusal} `no_authority` that says which file is wrong, and how. */
export function createUpstreamFiles(files: UpstreamFiles, reader: TextReader): ReadUpstreamAuthority {
  return async () => {
    const [certificates, roots] = await Promise.all([
      readCertificates(reader, files.certificate),
      readCertificates(reader, files.bundle),
    ])
    const [certificate, ...above] = certificates
    if (certificate === undefined) throw unusable(files.certificate, 'it holds no certificate')
    checkAuthority(certificate, files.certificate)
    const signer = signerOf(await readText(reader, files.key), certificate, files.key)
    const isRoot = (candidate: Certificate) => roots.some((root) => root.der.equals(candidate.der))
    const chain = isRoot(certificate) ? [] : [certificate, ...above.filter((one) => !isRoot(one))]
    return { certificate, signer, chain, roots } satisfies UpstreamAuthority
  }
}

function unusable(file: string, why: string, cause?: unknown): Refusal {
  return new Refusal('no_authority', `the upstream authority can not be used: ${file}: ${why}`, { cause })
}

async function readText(reader: TextReader, file: string): Promise<string> {
  try {
    return await reader.read(file)
  } catch (cause) {
    const { code } = cause as { readonly code?: string }
    throw unusable(
      file,
      code === 'ENOENT' ? 'there is no such file' : `it can not be read (${code ?? 'unknown'})`,
      cause,
    )
  }
}

async function readCertificates(reader: TextReader, file: string): Promise<readonly Certificate[]> {
  const text = await readText(reader, file)
  try {
    return parsePem('CERTIFICATE', text).map(parseCertificate)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw unusable(file, `certificates in PEM are expected (${cause.message})`, cause)
  }
}

/** RFC 5280 §4.2.1.9 and §4.2.1.3. What else may be in the way is found by a trial, see `authority-maker.ts`. */
function checkAuthority({ basicConstraints, keyUsage }: Certificate, file: string): void {
  if (basicConstraints?.ca !== true || keyUsage?.bits.has('keyCertSign') === false)
    throw unusable(file, 'the certificate is not that of an authority (CA:TRUE with keyCertSign)')
  if (basicConstraints.pathLength === 0)
    throw unusable(file, 'its path length is 0, so it may sign workloads but no authority below it, such as ours')
}

function signerOf(pem: string, certificate: Certificate, file: string): Signer {
  const key = readPrivateKey(pem, file)
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  if (!publicKey.equals(certificate.publicKeyInfo)) throw unusable(file, 'it is not the key of the certificate')
  const algorithm = algorithmsTried.find((candidate) => fitsAlgorithm(candidate, key))
  if (algorithm === undefined)
    throw unusable(file, 'the key is neither RSA of 2048 to 4096 bits nor on P-256, P-384 or P-521')
  return { algorithm, publicKey, sign: (data) => signWithKey(algorithm, key, data) }
}

function readPrivateKey(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw unusable(file, 'a private key in PEM is expected, without a password', cause)
  }
}
