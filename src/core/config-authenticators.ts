/**
 * The kinds of authenticator as the configuration knows them: keys, defaults, and the attributes that rules may read.
 *
 * @module
 */
import * as z from 'zod'
import { awsPartitions } from '../protocol/presigned-identity.ts'
import type { AuthenticatorType } from './authenticate.ts'
import { issuerField, trustDomainField } from './config-fields.ts'
import { httpsUrl, keySourceKeys, type OidcDocument, oidcSchema } from './config-oidc.ts'

/** Type of one attribute of `proof`, as expressions see it. `maybe` says that a proof may lack it. */
export type AttributeType = 'string' | 'maybe string' | 'map'

const kubernetes = z.strictObject({
  type: z.literal('kubernetes'),
  issuer: issuerField,
  ...keySourceKeys,
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

const stsEndpoint = z.string().refine(isHttpsOrigin, 'expected an https URL of a host, without a path')

function isHttpsOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url?.protocol === 'https:' && (text === url.origin || text === `${url.origin}/`)
}

const aws = z.strictObject({
  type: z.literal('aws'),
  accounts: z
    .array(z.string().regex(/^\d{12}$/, 'expected an account ID: 12 digits, in quotes'))
    .min(1)
    .optional(),
  partition: z.enum(awsPartitions).default('aws'),
  regions: z.array(z.string().min(1)).min(1).optional(),
  endpoint: stsEndpoint.optional(),
  ca_file: z.string().min(1).optional(),
  private: z.boolean().default(false),
})

export const authenticatorSchema = z.discriminatedUnion('type', [oidcSchema, kubernetes, joinToken, spiffe, aws])

export type OidcConfig = OidcDocument & { readonly name: string }
export type KubernetesConfig = z.infer<typeof kubernetes> & { readonly name: string }
export type JoinTokenConfig = z.infer<typeof joinToken> & { readonly name: string }
export type SpiffeConfig = z.infer<typeof spiffe> & { readonly name: string }
export type AuthenticatorDocument = z.infer<typeof authenticatorSchema>
export type AwsDocument = z.infer<typeof aws>
export type AwsConfig = z.infer<typeof aws> & { readonly name: string }
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
  aws: {
    account: 'string',
    arn: 'string',
    partition: 'string',
    user_id: 'string',
    role: 'maybe string',
    session: 'maybe string',
    user: 'maybe string',
  },
}
