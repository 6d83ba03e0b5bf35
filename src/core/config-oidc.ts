/**
 * Authenticators of type `oidc`, as the configuration has them: those that name an issuer, and presets, which know it or
 * ask for what it is made of.
 *
 * @module
 */
import * as z from 'zod'
import { durationField, issuerField } from './config-fields.ts'
import type { PresetName } from './oidc-presets.ts'

export const httpsUrl = z.url({ protocol: /^https$/, error: 'expected an https URL' })

/** Keys of every authenticator whose proofs are signed with keys of an issuer. */
export const keySourceKeys = {
  audience: z.string().min(1).max(2048),
  jwks_uri: httpsUrl.optional(),
  jwks_file: z.string().min(1).optional(),
  ca_file: z.string().min(1).optional(),
  token_file: z.string().min(1).optional(),
  private: z.boolean().default(false),
  max_stale: durationField.default(86_400),
}

const type = z.literal('oidc')
const plain = z.strictObject({ type, issuer: issuerField, ...keySourceKeys, preset: z.undefined().optional() })

/** With the issuer, and without what it was made of. */
export interface OidcDocument extends z.output<z.ZodObject<typeof keySourceKeys>> {
  readonly type: 'oidc'
  readonly preset?: PresetName | undefined
  readonly issuer: string
}

function issuerLike(pattern: RegExp, expected: string) {
  return issuerField.refine((issuer) => pattern.test(issuer), { error: expected })
}

const id = (noun: string) =>
  z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, `expected ${noun}, a UUID in lower case`)

/** The issuer is that of the account, which `aws iam get-outbound-web-identity-federation-info` tells. */
const aws = z.strictObject({
  type,
  preset: z.literal('aws'),
  issuer: issuerLike(
    /^https:\/\/[a-z0-9-]+\.tokens\.sts\.global\.api\.aws$/,
    'expected the issuer of an account: https://ID.tokens.sts.global.api.aws',
  ),
  ...keySourceKeys,
})

/** An `issuer` of its own is that of a national cloud. */
const azure = z
  .strictObject({
    type,
    preset: z.literal('azure'),
    tenant: id('the ID of the tenant'),
    token_version: z.literal([1, 2]).optional(),
    issuer: issuerField.optional(),
    ...keySourceKeys,
  })
  .superRefine(checkAzureIssuer)
  .transform(({ tenant, token_version: version, issuer, ...rest }) => {
    const usual =
      version === 2 ? `https://login.microsoftonline.com/${tenant}/v2.0` : `https://sts.windows.net/${tenant}/`
    return { ...rest, issuer: issuer ?? usual }
  })

interface AzureIssuer {
  readonly tenant: string
  readonly token_version?: number | undefined
  readonly issuer?: string | undefined
}

function checkAzureIssuer({ tenant, token_version, issuer }: AzureIssuer, context: z.RefinementCtx): void {
  const report = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
  if (issuer === undefined) return
  if (token_version !== undefined) report('token_version', 'the issuer says which version: remove this')
  if (!new RegExp(`^https://[^/]+/${tenant}/(?:v2\\.0)?$`).test(issuer))
    report('issuer', `expected an issuer of the tenant, such as https://sts.windows.net/${tenant}/`)
}

const buildkite = z
  .strictObject({ type, preset: z.literal('buildkite'), ...keySourceKeys })
  .transform((rest) => ({ ...rest, issuer: 'https://agent.buildkite.com' }))

const circleci = z
  .strictObject({
    type,
    preset: z.literal('circleci'),
    organization: id('the ID of the organization'),
    ...keySourceKeys,
  })
  .transform(({ organization, ...rest }) => ({ ...rest, issuer: `https://oidc.circleci.com/org/${organization}` }))

/** An enterprise in the cloud may have its name in the issuer or a host of its own; an Enterprise Server has its host. */
const github = z.strictObject({
  type,
  preset: z.literal('github'),
  issuer: issuerLike(
    /^https:\/\/(?:token\.actions\.(?:githubusercontent\.com|[a-z0-9-]+\.ghe\.com)(?:\/[A-Za-z0-9_-]+)?|[^/]+\/_services\/token)$/,
    'expected https://token.actions.githubusercontent.com, with the name of an enterprise or without, https://token.actions.NAME.ghe.com, or https://HOST/_services/token of an Enterprise Server',
  ).default('https://token.actions.githubusercontent.com'),
  ...keySourceKeys,
})

const gitlab = z.strictObject({
  type,
  preset: z.literal('gitlab'),
  issuer: issuerField.default('https://gitlab.com'),
  ...keySourceKeys,
})

const google = z
  .strictObject({ type, preset: z.literal('google'), ...keySourceKeys })
  .transform((rest) => ({ ...rest, issuer: 'https://accounts.google.com' }))

/** Of Terraform Enterprise, or of another region, the `issuer` is its URL. */
const terraform = z.strictObject({
  type,
  preset: z.literal('terraform'),
  issuer: issuerField.default('https://app.terraform.io'),
  ...keySourceKeys,
})

export const oidcSchema = z.discriminatedUnion('preset', [
  plain,
  aws,
  azure,
  buildkite,
  circleci,
  github,
  gitlab,
  google,
  terraform,
])
