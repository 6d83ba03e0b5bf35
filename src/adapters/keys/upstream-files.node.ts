/**
 * An X.509 authority above ours, in PEM files. They are read whenever an intermediate is made, so that a replaced file
 * counts from the next one on.
 *
 * @module
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Refusal } from '../../core/refusal.ts'
import type { ReadUpstreamAuthority, UpstreamAuthority } from '../../core/upstream.ts'
import { fitsAlgorithm, type SignatureAlgorithm, signWithKey } from '../../protocol/algorithms.ts'
import { type Certificate, parseCertificate } from '../../protocol/certificate.ts'
import { parsePem } from '../../protocol/encoding.ts'
import type { Signer } from '../../protocol/signer.ts'

/** `certificate` may go on with the intermediates above it; `bundle` holds the roots. */
export interface UpstreamFiles {
  readonly certificate: string
  readonly key: string
  readonly bundle: string
}

const algorithmsTried: readonly SignatureAlgorithm[] = ['ES256', 'ES384', 'ES512', 'RS256']

export function createUpstreamFiles(files: UpstreamFiles): ReadUpstreamAuthority {
  return async () => {
    try {
      return await readUpstream(files)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : 'unreadable'
      throw new Refusal('no_authority', `the upstream authority of ${files.certificate} can not be used: ${why}`, {
        cause,
      })
    }
  }
}

async function readUpstream(files: UpstreamFiles): Promise<UpstreamAuthority> {
  const [certificatePem, keyPem, bundlePem] = await Promise.all([
    readFile(files.certificate, 'utf8'),
    readFile(files.key, 'utf8'),
    readFile(files.bundle, 'utf8'),
  ])
  const [certificate, ...above] = parsePem('CERTIFICATE', certificatePem).map(parseCertificate)
  const roots = parsePem('CERTIFICATE', bundlePem).map(parseCertificate)
  if (certificate === undefined) throw new Error('no certificate')
  const isRoot = roots.some((root) => root.der.equals(certificate.der))
  return { certificate, signer: signerOf(keyPem, certificate), chain: isRoot ? [] : [certificate, ...above], roots }
}

function signerOf(keyPem: string, certificate: Certificate): Signer {
  const key = createPrivateKey(keyPem)
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  if (!publicKey.equals(certificate.publicKeyInfo)) throw new Error('the key is not the one of the certificate')
  const algorithm = algorithmsTried.find((candidate) => fitsAlgorithm(candidate, key))
  if (algorithm === undefined)
    throw new Error('the key is neither RSA of 2048 to 4096 bits nor on P-256, P-384 or P-521')
  return { algorithm, publicKey, sign: (data) => signWithKey(algorithm, key, data) }
}
