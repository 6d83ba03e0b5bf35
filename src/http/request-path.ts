/**
 * The path of a request as routes know it.
 *
 * @module
 */
import type { Gateway } from '../core/gateway.ts'
import { issuerPaths } from './routes/discovery.ts'

/**
 * An issuer with a path is served below that path. What names the issuer (discovery, keys, token) is then nowhere else;
 * the rest is served at both.
 */
export function withoutIssuerPath(gateway: Pick<Gateway, 'configured'>, path: string): string {
  const prefix = gateway.configured().issuerPath
  if (prefix === '') return path
  if (path.startsWith(`${prefix}/`)) return path.slice(prefix.length)
  return issuerPaths.has(path) ? '/' : path
}

/** The target of a request from its path on; the URL stands in where the runtime tells nothing else (RFC 9112 §3.2). */
export function targetOf(
  deps: { readonly target?: (env: unknown) => string | undefined },
  c: { readonly env: unknown; readonly req: { readonly url: string } },
): string {
  const target = deps.target?.(c.env) ?? c.req.url
  return target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
}
