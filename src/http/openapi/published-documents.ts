/**
 * What everybody may read.
 *
 * @module
 */
import * as z from 'zod'
import { refusals } from '../../core/refusal.ts'
import { seconds, text } from './fields.ts'

export const bundleQuery = {
  format: z
    .enum(['json', 'pem'])
    .optional()
    .meta({ description: '`pem`: the X.509 authorities alone. Default: `json`.' }),
}

const jwk = z
  .object({ kty: text, use: text.optional(), kid: text.optional(), alg: text.optional() })
  .catchall(z.unknown())
  .meta({ id: 'Jwk', description: 'A public key (RFC 7517).' })

export const keySetDocument = z.object({ keys: z.array(jwk) }).meta({
  id: 'KeySet',
  description: 'Keys that verify JWT-SVIDs, with `use: sig`.',
})

export const bundleDocument = z
  .object({
    keys: z.array(jwk),
    spiffe_sequence: z.int().min(0).optional(),
    spiffe_refresh_hint: seconds.optional(),
  })
  .catchall(z.unknown())
  .meta({ id: 'Bundle', description: 'A SPIFFE bundle, with keys of `use` `x509-svid` and `jwt-svid`.' })

export const discoveryDocument = z
  .object({
    issuer: z.url(),
    jwks_uri: z.url(),
    authorization_endpoint: text,
    token_endpoint: z.url(),
    response_types_supported: z.array(text),
    subject_types_supported: z.array(text),
    id_token_signing_alg_values_supported: z.array(text),
    claims_supported: z.array(text),
    grant_types_supported: z.array(text),
    token_endpoint_auth_methods_supported: z.array(text),
  })
  .meta({ id: 'Discovery', description: 'OpenID Connect Discovery 1.0.' })

const configuration = z.enum(['current', 'refused']).meta({
  description: '`refused`: the document on disk is wrong, and the one before it serves on.',
})

export const livezDocument = z.object({ status: z.literal('ok') })
export const readyzDocument = z.object({ status: z.literal('ok'), configuration })
export const unreadyDocument = z.object({
  status: z.literal('unavailable'),
  code: z.enum(Object.keys(refusals) as [string, ...string[]]).meta({ description: 'Which part is not ready.' }),
  configuration,
})
export type LivezDocument = z.output<typeof livezDocument>
export type ReadyzDocument = z.output<typeof readyzDocument>
export type UnreadyDocument = z.output<typeof unreadyDocument>

/** This one itself. */
export const openApiDocument = z.looseObject({ openapi: z.literal('3.1.1') })
