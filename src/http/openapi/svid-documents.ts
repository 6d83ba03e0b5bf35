/**
 * What workloads are given: identities, SVIDs, tokens, credentials of clouds.
 *
 * @module
 */
import * as z from 'zod'
import { pem, seconds, spiffeId, text, time } from './fields.ts'

export const jwtSvidDocument = z
  .object({
    spiffe_id: spiffeId,
    token: text.meta({ description: 'The JWT-SVID, a compact JWS.' }),
    expires_at: time,
  })
  .meta({ id: 'JwtSvid' })
export type JwtSvidDocument = z.output<typeof jwtSvidDocument>

export const x509SvidDocument = z
  .object({
    spiffe_id: spiffeId,
    certificates: pem.meta({ description: 'PEM, the leaf first.' }),
    bundle: pem.meta({ description: 'PEM: the authorities that vouch for SVIDs of this trust domain.' }),
    expires_at: time,
  })
  .meta({ id: 'X509Svid' })
export type X509SvidDocument = z.output<typeof x509SvidDocument>

export const identityDocument = z
  .object({
    spiffe_id: spiffeId,
    hint: text.optional(),
    audiences: z.array(text).meta({ description: 'Of JWT-SVIDs. `*` stands for any but our own.' }),
    dns_names: z.array(text).meta({ description: 'In X.509-SVIDs.' }),
    x509_ttl_seconds: seconds.optional().meta({ description: 'Absent where the proof gets no X.509-SVID.' }),
    jwt_ttl_seconds: seconds.optional().meta({ description: 'Absent where the proof gets no JWT-SVID.' }),
  })
  .meta({ id: 'Identity' })
export type IdentityDocument = z.output<typeof identityDocument>

export const tokenDocument = z
  .object({
    access_token: text.meta({ description: 'The JWT-SVID.' }),
    issued_token_type: z.literal('urn:ietf:params:oauth:token-type:jwt'),
    token_type: z.literal('N_A'),
    expires_in: seconds,
  })
  .meta({ id: 'TokenExchangeAnswer', description: 'RFC 8693 §2.2.1.' })

export const awsCredentialDocument = z
  .object({
    AccessKeyId: text,
    SecretAccessKey: text,
    Token: text,
    Expiration: time,
    AccountId: text.optional(),
    RoleArn: text,
  })
  .meta({ id: 'AwsCredential', description: 'As the container credential provider of AWS’s SDKs reads it.' })
export type AwsCredentialDocument = z.output<typeof awsCredentialDocument>

export const accessTokenDocument = z
  .object({
    access_token: text,
    token_type: z.literal('Bearer'),
    expires_in: seconds,
    expires_at: time,
    target_type: z.enum(['azure', 'gcp']),
  })
  .meta({ id: 'AccessToken', description: 'As a token endpoint answers (RFC 6749 §5.1), of Azure or Google.' })
export type AccessTokenDocument = z.output<typeof accessTokenDocument>
