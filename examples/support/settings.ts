/**
 * What the programs of the examples are told by their environment. `APOSTILLE_SERVER`, `APOSTILLE_CA_FILE` and
 * `APOSTILLE_TOKEN_FILE` say where Apostille is, what it is checked against, and who we are: the SDK reads them by itself, as
 * does the command line. `SVID_TTL_SECONDS` and `RENEW_AFTER_SECONDS` are for short lives, to watch them.
 *
 * @module
 */

/** @throws when it is not set */
export function setting(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

/** How long an SVID lives and when it is renewed, where that is set. */
export function shortLives(): { readonly ttlSeconds?: number; readonly renewAfterSeconds?: number } {
  const [ttl, renewal] = [process.env['SVID_TTL_SECONDS'], process.env['RENEW_AFTER_SECONDS']]
  return { ...(ttl && { ttlSeconds: Number(ttl) }), ...(renewal && { renewAfterSeconds: Number(renewal) }) }
}
