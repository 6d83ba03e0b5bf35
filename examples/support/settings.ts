/**
 * What the programs of the examples are told by their environment.
 *
 * @module
 */
import type { SvidSourceOptions } from './svid-source.ts'

/** @throws when it is not set */
export function setting(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

/** Where Apostille is, and how an SVID is asked of it. The names are those of Apostille's own command line. */
export function svidSettings(): SvidSourceOptions {
  return {
    server: setting('APOSTILLE_SERVER'),
    caFile: setting('APOSTILLE_CA_FILE'),
    tokenFile: setting('APOSTILLE_TOKEN_FILE'),
    ttlSeconds: seconds('SVID_TTL_SECONDS'),
    renewAfterSeconds: seconds('RENEW_AFTER_SECONDS'),
  }
}

function seconds(name: string): number | undefined {
  const value = process.env[name]
  return value ? Number(value) : undefined
}
