/**
 * What IAM Credentials checks of `generateAccessToken` with a federated token.
 *
 * @module
 */
import {
  type GoogleApiProblem,
  type GoogleFederatedToken,
  type GoogleServiceAccount,
  invalidArgument,
  principalsOf,
} from './google-project.ts'
import type { Rule } from './rules.ts'

const methodPage =
  'https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken'
const errorsPage = 'https://cloud.google.com/apis/design/errors'

export interface ImpersonationContext {
  readonly authorization: string | undefined
  /** Of the path; `-` is the only one that is taken. */
  readonly project: string
  /** The body; undefined where it is no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | undefined
  readonly federated: GoogleFederatedToken | undefined
  readonly account: GoogleServiceAccount | undefined
  readonly now: Date
}

const unauthenticated: GoogleApiProblem = {
  status: 401,
  code: 'UNAUTHENTICATED',
  message:
    'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.',
}
const denied: GoogleApiProblem = {
  status: 403,
  code: 'PERMISSION_DENIED',
  message: "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
}

/** Those that hold `iam.serviceAccounts.getAccessToken`. */
const roles = ['roles/iam.workloadIdentityUser', 'roles/iam.serviceAccountTokenCreator']

const wideScopes = ['cloud-platform', 'iam'].map((name) => `https://www.googleapis.com/auth/${name}`)

/** 3,600 by default; NaN where it is no duration. */
export function lifetimeSeconds({ body }: Pick<ImpersonationContext, 'body'>): number {
  const { lifetime = '3600s' } = body ?? {}
  return typeof lifetime === 'string' && /^\d+(\.\d+)?s$/.test(lifetime) ? Number.parseFloat(lifetime) : Number.NaN
}

export function scopesOf({ body }: Pick<ImpersonationContext, 'body'>): readonly string[] {
  const scope = body?.['scope']
  return Array.isArray(scope) ? scope.filter((item) => typeof item === 'string') : []
}

export const googleImpersonationRules: readonly Rule<ImpersonationContext, GoogleApiProblem>[] = [
  {
    name: 'impersonation_bearer',
    source: errorsPage,
    check: ({ authorization }) => (/^Bearer \S+$/.test(authorization ?? '') ? undefined : unauthenticated),
  },
  {
    name: 'impersonation_token',
    source: errorsPage,
    check: ({ federated }) => (federated ? undefined : unauthenticated),
  },
  {
    name: 'impersonation_token_expired',
    source: errorsPage,
    check: ({ federated, now }) => (federated && federated.expiresAt > now ? undefined : unauthenticated),
  },
  {
    name: 'impersonation_project',
    source: `${methodPage} (the - wildcard; assumed, the code)`,
    check: ({ project }) =>
      project === '-' ? undefined : invalidArgument('Invalid form of the resource name: the project must be "-".'),
  },
  {
    name: 'impersonation_token_scope',
    source: methodPage,
    check: ({ federated }) =>
      federated?.scopes.some((scope) => wideScopes.includes(scope))
        ? undefined
        : { status: 403, code: 'PERMISSION_DENIED', message: 'Request had insufficient authentication scopes.' },
  },
  {
    name: 'impersonation_body',
    source: errorsPage,
    check: ({ body }) => (body ? undefined : invalidArgument('Invalid JSON payload received.')),
  },
  {
    name: 'impersonation_scope',
    source: methodPage,
    check: (context) => (scopesOf(context).length > 0 ? undefined : invalidArgument('scope is required.')),
  },
  {
    name: 'impersonation_scope_known',
    source: methodPage,
    check: (context) =>
      scopesOf(context).every((scope) => /^https:\/\/www\.googleapis\.com\/auth\/[\w.-]+$/.test(scope))
        ? undefined
        : invalidArgument('Invalid scope.'),
  },
  {
    name: 'impersonation_delegates',
    source: methodPage,
    check({ body }) {
      // Null is a field that is not set: https://protobuf.dev/programming-guides/json/ ; Google's library for Python sends it.
      const delegates = body?.['delegates'] ?? []
      const isRight = (item: unknown) => typeof item === 'string' && /^projects\/-\/serviceAccounts\/[^/]+$/.test(item)
      return Array.isArray(delegates) && delegates.every(isRight) ? undefined : invalidArgument('Invalid delegates.')
    },
  },
  {
    name: 'impersonation_lifetime_form',
    source: methodPage,
    check: (context) =>
      Number.isNaN(lifetimeSeconds(context)) ? invalidArgument('Invalid value at "lifetime" (Duration).') : undefined,
  },
  {
    name: 'impersonation_lifetime_positive',
    source: `${methodPage} (assumed, the text)`,
    check: (context) =>
      lifetimeSeconds(context) > 0 ? undefined : invalidArgument('Lifetime of access token must be larger than zero.'),
  },
  {
    name: 'impersonation_account',
    source: `${methodPage} (assumed: an account that is missing or disabled looks like one that may not be used)`,
    check: ({ account }) => (account && !account.disabled ? undefined : denied),
  },
  {
    name: 'impersonation_binding',
    source: 'https://cloud.google.com/iam/docs/workload-identity-federation#access_management',
    check({ account, federated }) {
      const members = (account?.bindings ?? [])
        .filter(({ role }) => roles.includes(role))
        .flatMap((binding) => binding.members)
      const principals = federated ? principalsOf(federated) : []
      return principals.some((principal) => members.includes(principal)) ? undefined : denied
    },
  },
  {
    name: 'impersonation_lifetime_limit',
    source: methodPage,
    check(context) {
      if (lifetimeSeconds(context) <= (context.account?.hasLongLifetime ? 43_200 : 3600)) return undefined
      return invalidArgument(
        'The access token lifetime cannot exceed 1 hour. Use the Org Policy Constraint constraints/iam.allowServiceAccountCredentialLifetimeExtension to allow up to 12 hours.',
      )
    },
  },
]
