/**
 * What STS checks of `AssumeRoleWithWebIdentity` before it looks into the token.
 *
 * @module
 */
import { parseRoleArn } from './aws-account.ts'
import type { AwsProblem } from './aws-wire.ts'
import type { CloudRequest } from './cloud-server.ts'
import type { Rule } from './rules.ts'

const apiPage = 'https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html'

export interface AwsRequestContext {
  readonly request: CloudRequest
  readonly form: URLSearchParams
}

export const keyNotRetrieved: AwsProblem = {
  status: 400,
  code: 'InvalidIdentityToken',
  message:
    "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
}

export function validationError(message: string): AwsProblem {
  return { status: 400, code: 'ValidationError', message }
}

function constraint(member: string, value: string | null, rule: string): AwsProblem {
  const shown = value === null ? 'Value null' : `Value '${value}'`
  return validationError(
    `1 validation error detected: ${shown} at '${member}' failed to satisfy constraint: Member must ${rule}`,
  )
}

interface TextLimits {
  readonly name: string
  readonly parameter: string
  readonly min?: number
  readonly max?: number
  readonly pattern?: RegExp
}

function required(name: string, parameter: string): Rule<AwsRequestContext, AwsProblem> {
  const check = ({ form }: AwsRequestContext) =>
    form.get(parameter) ? undefined : constraint(memberOf(parameter), null, 'not be null')
  return { name, source: apiPage, check }
}

function limited({ name, parameter, min = 0, max, pattern }: TextLimits): Rule<AwsRequestContext, AwsProblem> {
  function check({ form }: AwsRequestContext): AwsProblem | undefined {
    const value = form.get(parameter) ?? ''
    const wrong = (rule: string) => constraint(memberOf(parameter), value, rule)
    if (value.length < min) return wrong(`have length greater than or equal to ${min}`)
    if (max !== undefined && value.length > max) return wrong(`have length less than or equal to ${max}`)
    if (pattern?.test(value) === false) return wrong(`satisfy regular expression pattern: ${pattern.source}`)
    return undefined
  }
  return { name, source: apiPage, check }
}

function memberOf(parameter: string): string {
  return parameter.charAt(0).toLowerCase() + parameter.slice(1)
}

/** `PolicyArns.member.N.arn`, in order. */
export function policyArnsOf(form: URLSearchParams): readonly string[] {
  return [...form].filter(([name]) => /^PolicyArns\.member\.\d+\.arn$/.test(name)).map(([, value]) => value)
}

interface AwsAction {
  readonly action: string
  readonly version: string | null
}

export const awsActionRules: readonly Rule<AwsAction, AwsProblem>[] = [
  {
    name: 'action',
    source: 'https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html',
    check({ action, version }) {
      if (action === 'AssumeRoleWithWebIdentity' || action === 'GetCallerIdentity') return undefined
      const message = `Could not find operation ${action} for version ${version ?? 'NO_VERSION_SPECIFIED'}`
      return { status: 400, code: 'InvalidAction', message }
    },
  },
]

export const awsRequestRules: readonly Rule<AwsRequestContext, AwsProblem>[] = [
  {
    name: 'version',
    source: apiPage,
    check({ form }) {
      if (form.get('Version') === '2011-06-15') return undefined
      const version = form.get('Version') ?? 'NO_VERSION_SPECIFIED'
      const message = `Could not find operation AssumeRoleWithWebIdentity for version ${version}`
      return { status: 400, code: 'InvalidAction', message }
    },
  },
  {
    name: 'unsigned_authorization',
    source: `${apiPage} (assumed: it says only that no credentials are needed)`,
    check({ request }) {
      if (request.headers['authorization'] === undefined) return undefined
      const message = 'The security token included in the request is invalid.'
      return { status: 403, code: 'InvalidClientTokenId', message }
    },
  },
  {
    name: 'unsigned_security_token',
    source: 'https://github.com/aws/aws-sdk-php/issues/1725',
    check: ({ request, form }) =>
      request.headers['x-amz-security-token'] === undefined && !form.has('X-Amz-Security-Token')
        ? undefined
        : keyNotRetrieved,
  },
  required('role_arn_required', 'RoleArn'),
  limited({ name: 'role_arn_length', parameter: 'RoleArn', min: 20, max: 2048 }),
  {
    name: 'role_arn_shape',
    source: apiPage,
    check: ({ form }) =>
      parseRoleArn(form.get('RoleArn') ?? '') ? undefined : validationError('Request ARN is invalid'),
  },
  required('session_name_required', 'RoleSessionName'),
  limited({ name: 'session_name_length', parameter: 'RoleSessionName', min: 2, max: 64 }),
  limited({ name: 'session_name_shape', parameter: 'RoleSessionName', pattern: /^[\w+=,.@-]*$/ }),
  required('token_required', 'WebIdentityToken'),
  limited({ name: 'token_length', parameter: 'WebIdentityToken', min: 4, max: 20_000 }),
  {
    name: 'duration_number',
    source: `${apiPage} (assumed)`,
    check: ({ form }) =>
      /^\d+$/.test(form.get('DurationSeconds') ?? '3600')
        ? undefined
        : { status: 400, code: 'MalformedInput', message: 'The value of DurationSeconds is not a number' },
  },
  {
    name: 'duration_range',
    source: apiPage,
    check({ form }) {
      const value = form.get('DurationSeconds') ?? '3600'
      if (Number(value) < 900) return constraint('durationSeconds', value, 'have value greater than or equal to 900')
      if (Number(value) > 43_200) return constraint('durationSeconds', value, 'have value less than or equal to 43200')
      return undefined
    },
  },
  limited({ name: 'policy_length', parameter: 'Policy', max: 2048 }),
  {
    name: 'policy_document',
    source: apiPage,
    check({ form }) {
      const policy = form.get('Policy')
      if (policy === null || isPolicy(policy)) return undefined
      return { status: 400, code: 'MalformedPolicyDocument', message: 'Syntax errors in policy.' }
    },
  },
  {
    name: 'policy_arns_count',
    source: apiPage,
    check({ form }) {
      const arns = policyArnsOf(form)
      if (arns.length <= 10) return undefined
      return constraint('policyArns', `[${arns.length} items]`, 'have length less than or equal to 10')
    },
  },
  {
    name: 'policy_arns_shape',
    source: 'https://docs.aws.amazon.com/STS/latest/APIReference/API_PolicyDescriptorType.html',
    check({ form }) {
      const wrong = policyArnsOf(form).find((arn) => !/^arn:aws[\w-]*:iam::(\d{12}|aws):policy\/.{1,2000}$/.test(arn))
      return wrong === undefined ? undefined : validationError(`ARN ${wrong} is not valid.`)
    },
  },
  {
    name: 'policy_plaintext',
    source: `${apiPage} (assumed: the limit is documented, its code is not)`,
    check({ form }) {
      const length = [form.get('Policy') ?? '', ...policyArnsOf(form)].join('').length
      if (length <= 2048) return undefined
      return {
        status: 400,
        code: 'PackedPolicyTooLarge',
        message: `Packed policy consumes ${Math.ceil(length / 20.48)}% of allotted space.`,
      }
    },
  },
  {
    name: 'provider_id',
    source: `${apiPage} (assumed: "Do not specify this value for OpenID Connect identity providers")`,
    check: ({ form }) =>
      form.has('ProviderId') ? validationError('ProviderId is not for OpenID Connect identity providers') : undefined,
  },
]

function isPolicy(text: string): boolean {
  try {
    const { Version, Statement } = JSON.parse(text)
    const statements: readonly unknown[] = Array.isArray(Statement) ? Statement : [Statement]
    return (
      (Version === '2012-10-17' || Version === '2008-10-17') && statements.length > 0 && statements.every(isStatement)
    )
  } catch {
    return false
  }
}

/** A session policy has no principal. */
function isStatement(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const names = Object.keys(value)
  const effect = (value as { readonly Effect?: unknown }).Effect
  return (
    (effect === 'Allow' || effect === 'Deny') &&
    (names.includes('Action') || names.includes('NotAction')) &&
    (names.includes('Resource') || names.includes('NotResource')) &&
    !names.includes('Principal')
  )
}
