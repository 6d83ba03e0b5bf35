/**
 * Whom an HTTPS client trusts where no authorities are configured: those of the machine, those that come with Node, and
 * those of `NODE_EXTRA_CA_CERTS`, as `node --use-system-ca` has them.
 *
 * @module
 */
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

/** Every root, PEM; one may come twice. `SSL_CERT_FILE` and `SSL_CERT_DIR` say where those of the machine are. */
export function readSystemRoots(): readonly string[] {
  return [...getCACertificates('default'), ...getCACertificates('system')]
}

/**
 * Reads the roots once, when they are first needed: they are hundreds, which takes some tens of milliseconds, and a
 * connection takes a context that has them as it is.
 */
export function createSystemTrust(readRoots: () => readonly string[] = readSystemRoots): () => SecureContext {
  let context: SecureContext | undefined
  return () => {
    context ??= createSecureContext({ ca: [...new Set(readRoots())], minVersion: 'TLSv1.2' })
    return context
  }
}
