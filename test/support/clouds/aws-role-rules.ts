/**
 * What STS checks last: the role's trust policy, session tags, source identity and the size of the session.
 *
 * @module
 */
import { deflateRawSync } from 'node:zlib'
import { type AwsRole, parseRoleArn, providerArn, providerName } from './aws-account.ts'
import { policyArnsOf, validationError } from './aws-request-rules.ts'
import { type AwsIssuerContext, effectiveAudience, invalidToken } from './aws-token-rules.ts'
import {
  allows,
  failingKeys,
  namesAction,
  namesPrincipal,
  statementsOf,
  type TrustRequest,
  type TrustStatement,
} from './aws-trust-policy.ts'
import type { AwsProblem } from './aws-wire.ts'
import type { PresentedToken } from './presented-token.ts'
import { textClaim } from './presented-token.ts'
import type { Rule } from './rules.ts'

const apiPage = 'https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html'
const tagsPage = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html'
const tagPage = 'https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html'
const sourcePage = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html'
const keysPage = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html'

export const tagsClaim = 'https://aws.amazon.com/tags'
export const sourceIdentityClaim = 'https://aws.amazon.com/source_identity'

export interface AwsRoleContext extends AwsIssuerContext {
  readonly grantedRole: AwsRole | undefined
}

/** The limit is not published; this is as much as the plain text may have. */
const packedBytes = 2048

const denied = (action: string): AwsProblem => ({
  status: 403,
  code: 'AccessDenied',
  message: `Not authorized to perform ${action}`,
})
const assume = 'sts:AssumeRoleWithWebIdentity'
const notTrusted = denied(assume)

/** One value by key; empty where the claim is absent or not as it should be. */
export function sessionTags(token: PresentedToken): Readonly<Record<string, string>> {
  const tags = readTags(token)
  return Object.fromEntries(Object.entries(tags?.principal ?? {}).map(([key, values]) => [key, values[0] ?? '']))
}

interface Tags {
  readonly principal: Readonly<Record<string, readonly string[]>>
  readonly transitive: readonly string[]
}

function readTags({ claims }: PresentedToken): Tags | undefined {
  const claim = claims[tagsClaim] as {
    readonly principal_tags?: unknown
    readonly transitive_tag_keys?: unknown
  } | null
  if (typeof claim !== 'object' || claim === null || typeof claim.principal_tags !== 'object') return undefined
  const principal = Object.entries(claim.principal_tags ?? {})
  const transitive = claim.transitive_tag_keys ?? []
  if (!principal.every(([, values]) => isTextList(values) && values.length === 1) || !isTextList(transitive))
    return undefined
  return { principal: Object.fromEntries(principal), transitive }
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

export function sourceIdentity(token: PresentedToken): string | undefined {
  return textClaim(token, sourceIdentityClaim) || undefined
}

/** What the conditions of a trust policy see. Other claims of a token are no condition keys. */
function trustRequest({ token, provider, role, form }: AwsRoleContext): TrustRequest {
  const host = providerName(provider.url).toLowerCase()
  const tags = Object.entries(sessionTags(token))
  const amr = token.claims['amr']
  const values: readonly (readonly [string, readonly string[] | undefined])[] = [
    [`${host}:aud`, [effectiveAudience(token)]],
    [`${host}:sub`, [textClaim(token, 'sub')]],
    [`${host}:azp`, textClaim(token, 'azp') === '' ? undefined : [textClaim(token, 'azp')]],
    [`${host}:amr`, isTextList(amr) ? amr : undefined],
    ['sts:rolesessionname', [form.get('RoleSessionName') ?? '']],
    ['sts:sourceidentity', sourceIdentity(token) === undefined ? undefined : [sourceIdentity(token) ?? '']],
    ['aws:tagkeys', tags.length === 0 ? undefined : tags.map(([key]) => key)],
    ...tags.map(([key, value]) => [`aws:requesttag/${key.toLowerCase()}`, [value]] as const),
  ]
  const present = values.filter((entry): entry is readonly [string, readonly string[]] => entry[1] !== undefined)
  return { federated: providerArn(role, provider.url), values: new Map(present) }
}

function candidates(context: AwsRoleContext): readonly TrustStatement[] {
  const request = trustRequest(context)
  const statements = context.grantedRole ? statementsOf(context.grantedRole.trustPolicy) : []
  return statements.filter((s) => s.Effect === 'Allow' && namesPrincipal(s, request))
}

function conditionRule(
  name: string,
  source: string,
  isAbout: (key: string) => boolean,
): Rule<AwsRoleContext, AwsProblem> {
  function check(context: AwsRoleContext): AwsProblem | undefined {
    const request = trustRequest(context)
    const statements = candidates(context).filter((statement) => namesAction(statement, assume))
    const holds = statements.some((statement) => !failingKeys(statement, request).some(isAbout))
    return holds ? undefined : notTrusted
  }
  return { name, source, check }
}

const isAudience = (key: string) => key.endsWith(':aud')
const isSubject = (key: string) => key.endsWith(':sub')
const isTag = (key: string) => key.startsWith('aws:requesttag/') || key === 'aws:tagkeys'

export const awsRoleRules: readonly Rule<AwsRoleContext, AwsProblem>[] = [
  {
    name: 'role_known',
    source: `${apiPage} (assumed: a role that is missing looks like one that does not trust)`,
    check: ({ grantedRole }) => (grantedRole ? undefined : notTrusted),
  },
  {
    name: 'tags_shape',
    source: `${tagsPage} (assumed, code and text)`,
    check: ({ token }) =>
      token.claims[tagsClaim] === undefined || readTags(token)
        ? undefined
        : invalidToken('The tags of the ID Token are malformed'),
  },
  {
    name: 'tags_count',
    source: tagsPage,
    check: ({ token }) =>
      Object.keys(sessionTags(token)).length > 50
        ? validationError(
            "Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50",
          )
        : undefined,
  },
  {
    name: 'tags_key',
    source: tagPage,
    check: ({ token }) =>
      Object.keys(sessionTags(token)).every((key) => /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu.test(key))
        ? undefined
        : validationError("Value at 'tags.member.key' failed to satisfy constraint"),
  },
  {
    name: 'tags_value',
    source: tagPage,
    check: ({ token }) =>
      Object.values(sessionTags(token)).every((value) => /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value))
        ? undefined
        : validationError("Value at 'tags.member.value' failed to satisfy constraint"),
  },
  {
    name: 'tags_distinct',
    source: tagsPage,
    check({ token }) {
      const keys = Object.keys(sessionTags(token)).map((key) => key.toLowerCase())
      const message = 'Duplicate tag keys found. Please note that Tag keys are case insensitive.'
      return new Set(keys).size === keys.length ? undefined : { status: 400, code: 'InvalidParameterValue', message }
    },
  },
  {
    name: 'tags_transitive',
    source: `${tagsPage} (assumed, the text)`,
    check({ token }) {
      const tags = readTags(token)
      const known = (key: string) => tags?.principal[key] !== undefined
      return tags?.transitive.every(known) === false ? validationError('A transitive tag key is no tag') : undefined
    },
  },
  {
    name: 'source_identity_shape',
    source: sourcePage,
    check({ token }) {
      const claim = token.claims[sourceIdentityClaim]
      if (claim === undefined || (typeof claim === 'string' && /^[\w+=,.@-]{2,64}$/.test(claim))) return undefined
      return validationError("Value at 'sourceIdentity' failed to satisfy constraint")
    },
  },
  {
    name: 'trust_principal',
    source: keysPage,
    check: (context) => (candidates(context).length > 0 ? undefined : notTrusted),
  },
  {
    name: 'trust_action',
    source: keysPage,
    check: (context) =>
      candidates(context).some((statement) => namesAction(statement, assume)) ? undefined : notTrusted,
  },
  conditionRule('trust_audience', keysPage, isAudience),
  conditionRule('trust_subject', keysPage, isSubject),
  conditionRule('trust_request_tag', tagsPage, isTag),
  conditionRule('trust_condition', keysPage, (key) => !isAudience(key) && !isSubject(key) && !isTag(key)),
  {
    name: 'trust_deny',
    source: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html',
    check: (context) => (isAllowed(context, assume) ? undefined : notTrusted),
  },
  {
    name: 'trust_tag_session',
    source: tagsPage,
    check: (context) =>
      context.token.claims[tagsClaim] === undefined || isAllowed(context, 'sts:TagSession')
        ? undefined
        : denied('sts:TagSession'),
  },
  {
    name: 'trust_source_identity',
    source: sourcePage,
    check: (context) =>
      sourceIdentity(context.token) === undefined || isAllowed(context, 'sts:SetSourceIdentity')
        ? undefined
        : denied('sts:SetSourceIdentity'),
  },
  {
    name: 'role_duration',
    source: apiPage,
    check({ form, grantedRole }) {
      const wanted = Number(form.get('DurationSeconds') ?? 3600)
      if (wanted <= (grantedRole?.maxSessionSeconds ?? 3600)) return undefined
      return validationError('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
    },
  },
  {
    name: 'packed_size',
    source: `${tagsPage} (assumed: how it is packed, and how much there is)`,
    check(context) {
      const percent = packedPercent(context)
      const message = `Packed size of session tags consumes ${percent}% of allotted space.`
      return percent <= 100 ? undefined : { status: 400, code: 'PackedPolicyTooLarge', message }
    },
  },
]

function isAllowed(context: AwsRoleContext, action: string): boolean {
  const { grantedRole } = context
  return grantedRole !== undefined && allows(grantedRole.trustPolicy, action, trustRequest(context))
}

/** Of the session policies and tags together; 0 without any. */
export function packedPercent({ form, token }: AwsRoleContext): number {
  const parts = [form.get('Policy') ?? '', ...policyArnsOf(form), ...Object.entries(sessionTags(token)).flat()]
  const text = parts.join('\n').trim()
  return text === '' ? 0 : Math.ceil((deflateRawSync(text).length / packedBytes) * 100)
}

/** For a form whose RoleArn has passed the rules. */
export function roleOf(form: URLSearchParams) {
  const role = parseRoleArn(form.get('RoleArn') ?? '')
  if (!role) throw new Error('the rules of the request let a wrong ARN pass')
  return role
}
