/**
 * What TLS is told of a source: our certificate and key, and all authorities of all bundles.
 *
 * The handshake takes the authorities together; that each vouches for its own trust domain only is looked at afterwards,
 * before anything of the peer is read.
 *
 * @module
 */
import { constants } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { formatPem } from '../protocol/encoding.ts'
import type { X509Source } from './x509-source.node.ts'

export const minVersion = 'TLSv1.2'

/** PEM. */
export interface SvidMaterial {
  readonly cert: string
  readonly key: string
  readonly ca: string
  readonly minVersion: typeof minVersion
  readonly secureOptions: number
}

/** As the source is when it is called; made anew only when that is another. */
export function createMaterialReader(source: X509Source): () => SvidMaterial {
  return createReader(source, () => materialOf(source))
}

/** As {@link createMaterialReader}: making a context takes longer than all else of a connection. */
export function createContextReader(source: X509Source): () => SecureContext {
  return createReader(source, () => createSecureContext({ ...materialOf(source), allowPartialTrustChain: true }))
}

function createReader<Made>(source: X509Source, make: () => Made): () => Made {
  let held: { readonly parts: readonly unknown[]; readonly made: Made } | undefined
  return () => {
    const parts = [source.svid(), ...source.bundles()]
    const isSame = parts.length === held?.parts.length && parts.every((part, at) => part === held?.parts[at])
    if (!held || !isSame) held = { parts, made: make() }
    return held.made
  }
}

function materialOf(source: X509Source): SvidMaterial {
  const { certificates, privateKey } = source.svid()
  const authorities = source.bundles().flatMap(({ x509Authorities }) => x509Authorities)
  return {
    cert: certificates,
    key: privateKey,
    ca: authorities.map((der) => formatPem('CERTIFICATE', der)).join(''),
    minVersion,
    // A resumed session would skip the certificate, so that an old one could outlive its time.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}
