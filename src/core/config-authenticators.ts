/**
 * The kinds of authenticator as the configuration knows them: keys, defaults, and the attributes that rules may read.
 *
 * @module
 */
import * as z from 'zod'
import type { AuthenticatorType } from './authenticate.ts'
import { durationField, issuerField, trustDomainField } from './config-fields.ts'

const httpsUrl = z.url({ protocol: /^https$/, error: 'expected an https URL' })

/** Type of one attribute of `proof`, as expressions see it. `maybe` says that a proof may lack it. */
export type AttributeType = 'string' | 'maybe string' | 'map'

const issuerKeys = {
  issuer: issuerField,
  audience: z.string().min(1).max(2048),
  jwks_uri: httpsUrl.optional(),
  jwks_file: z.string().min(1).optional(),
  ca_file: z.string().min(1).optional(),
  token_file: z.string().min(1).optional(),
  private: z.boolean().default(false),
  max_stale: durationField.default(86_400),
}

const oidc = z.strictObject({ type: z.literal('oidc'), ...issuerKeys })

const kubernetes = z.strictObject({
  type: z.literal('kubernetes'),
  ...issuerKeys,
  token_review: z
    .strictObject({
      server: httpsUrl,
      ca_file: z.string().min(1).optional(),
      token_file: z.string().min(1),
    })
    .optional(),
})

const joinToken = z.strictObject({ type: z.literal('join_token') })
const spiffe = z.strictObject({ type: z.literal('spiffe'), trust_domain: trustDomainField })

export const authenticatorSchema = z.discriminatedUnion('type', [oidc, kubernetes, joinToken, spiffe])

export type OidcConfig = z.infer<typeof oidc> & { readonly name: string }
export type KubernetesConfig = z.infer<typeof kubernetes> & { readonly name: string }
export type JoinTokenConfig = z.infer<typeof joinToken> & { readonly name: string }
export type SpiffeConfig = z.infer<typeof spiffe> & { readonly name: string }
export type AuthenticatorConfig = z.infer<typeof authenticatorSchema> & { readonly name: string }

/** What rules see as `proof`, by kind of authenticator. */
export const proofAttributes: Record<AuthenticatorType, Readonly<Record<string, AttributeType>>> = {
  kubernetes: {
    namespace: 'string',
    service_account: 'string',
    service_account_uid: 'string',
    pod: 'maybe string',
    pod_uid: 'maybe string',
    node: 'maybe string',
    node_uid: 'maybe string',
  },
  oidc: { issuer: 'string', subject: 'string', claims: 'map' },
  join_token: { name: 'string', attributes: 'map' },
  spiffe: { spiffe_id: 'string', trust_domain: 'string', path: 'string', claims: 'map' },
}
