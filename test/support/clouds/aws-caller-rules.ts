/**
 * What a service of AWS checks of a signed request, in the words of STS.
 *
 * @module
 */
import { timingSafeEqual } from 'node:crypto'
import type { AwsAccessKey } from './aws-account.ts'
import { type AwsSignature, computeAwsSignature } from './aws-signature.ts'
import type { AwsProblem } from './aws-wire.ts'
import type { CloudRequest } from './cloud-server.ts'
import type { Rule } from './rules.ts'

const signingPage = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html'
const troublePage = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html'
const errorsPage = 'https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html'

export interface AwsCallerContext {
  readonly request: CloudRequest
  readonly version: string | null
  readonly signature: AwsSignature | undefined
  readonly now: Date
  /** Of the credential's scope, such as `sts`. */
  readonly service: string
  /** That the endpoint serves; undefined where its host does not say. */
  readonly region: string | undefined
}

export interface AwsSignedContext extends AwsCallerContext {
  readonly signature: AwsSignature
}

export interface AwsKeyContext extends AwsSignedContext {
  readonly key: AwsAccessKey | undefined
}

/** Of the signature's date, to either side; `X-Amz-Expires` does not shorten it. */
const windowMs = 15 * 60_000

const incomplete = (message: string): AwsProblem => ({ status: 400, code: 'IncompleteSignature', message })
const mismatch = (message: string): AwsProblem => ({ status: 403, code: 'SignatureDoesNotMatch', message })
const invalidToken: AwsProblem = {
  status: 403,
  code: 'InvalidClientTokenId',
  message: 'The security token included in the request is invalid.',
}

export const awsCallerRules: readonly Rule<AwsCallerContext, AwsProblem>[] = [
  {
    name: 'caller_version',
    source: errorsPage,
    check({ version }) {
      if (version === '2011-06-15') return undefined
      const message = `Could not find operation GetCallerIdentity for version ${version ?? 'NO_VERSION_SPECIFIED'}`
      return { status: 400, code: 'InvalidAction', message }
    },
  },
  {
    name: 'caller_signed',
    source: errorsPage,
    check: ({ signature }) =>
      signature
        ? undefined
        : { status: 403, code: 'MissingAuthenticationToken', message: 'Request is missing Authentication Token' },
  },
]

export const awsSignedRules: readonly Rule<AwsSignedContext, AwsProblem>[] = [
  {
    name: 'caller_algorithm',
    source: troublePage,
    check: ({ signature: { algorithm } }) =>
      algorithm === 'AWS4-HMAC-SHA256' || algorithm === ''
        ? undefined
        : incomplete(`Unsupported AWS 'algorithm': '${algorithm}'`),
  },
  {
    name: 'caller_parameters',
    source: errorsPage,
    check: ({ signature: { wrong } }) =>
      wrong.length === 0 ? undefined : incomplete(`AWS query-string or header needs '${wrong.join("', '")}' once.`),
  },
  {
    name: 'caller_date_format',
    source: signingPage,
    check: ({ signature: { amzDate } }) =>
      readAmzDate(amzDate) ? undefined : incomplete(`Date must be in ISO-8601 'basic format'. Got '${amzDate}'.`),
  },
  {
    name: 'caller_scope',
    source: troublePage,
    check({ signature: { credential } }) {
      const isRight = credential.length === 5 && credential[4] === 'aws4_request'
      return isRight ? undefined : mismatch("Credential should be scoped with a valid terminator: 'aws4_request'.")
    },
  },
  {
    name: 'caller_scope_date',
    source: troublePage,
    check: ({ signature: { credential, amzDate } }) =>
      credential[1] === amzDate.slice(0, 8)
        ? undefined
        : mismatch('Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.'),
  },
  {
    name: 'caller_scope_service',
    source: troublePage,
    check: ({ signature: { credential }, service }) =>
      credential[3] === service
        ? undefined
        : mismatch(`Credential should be scoped to correct service: '${service}'. `),
  },
  {
    name: 'caller_scope_region',
    source: troublePage,
    check: ({ signature: { credential }, region }) =>
      region === undefined || credential[2] === region
        ? undefined
        : mismatch('Credential should be scoped to a valid region. '),
  },
  {
    name: 'caller_expires',
    source: `${signingPage} (assumed: 1 to 604800 as for other services; STS takes 15 minutes whatever it says)`,
    check: ({ signature: { expires } }) =>
      expires === undefined || (/^\d{1,6}$/.test(expires) && Number(expires) >= 1 && Number(expires) <= 604_800)
        ? undefined
        : incomplete('X-Amz-Expires must be a number of seconds, at most 604800'),
  },
  {
    name: 'caller_expired',
    source: 'https://github.com/kubernetes-sigs/aws-iam-authenticator (15 minutes; X-Amz-Expires is ignored by STS)',
    check({ signature: { amzDate }, now }) {
      const oldest = new Date(now.getTime() - windowMs)
      if ((readAmzDate(amzDate) ?? oldest) >= oldest) return undefined
      const window = `${formatAmzDate(oldest)} (${formatAmzDate(now)} - 15 min.)`
      return mismatch(`Signature expired: ${amzDate} is now earlier than ${window}`)
    },
  },
  {
    name: 'caller_not_yet',
    source: troublePage,
    check({ signature: { amzDate }, now }) {
      const latest = new Date(now.getTime() + windowMs)
      if ((readAmzDate(amzDate) ?? latest) <= latest) return undefined
      const window = `${formatAmzDate(latest)} (${formatAmzDate(now)} + 15 min.)`
      return mismatch(`Signature not yet current: ${amzDate} is still later than ${window}`)
    },
  },
  {
    name: 'caller_host_signed',
    source: troublePage,
    check: ({ signature: { signedHeaders } }) =>
      signedHeaders.includes('host')
        ? undefined
        : mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
  },
]

export const awsKeyRules: readonly Rule<AwsKeyContext, AwsProblem>[] = [
  {
    name: 'caller_access_key',
    source: errorsPage,
    check: ({ key }) => (key ? undefined : invalidToken),
  },
  {
    name: 'caller_session_token',
    source: errorsPage,
    check: ({ key, signature }) => (key?.sessionToken === signature.sessionToken ? undefined : invalidToken),
  },
  {
    name: 'caller_session_expired',
    source: errorsPage,
    check: ({ key, now }) =>
      key?.expiresAt && key.expiresAt <= now
        ? { status: 403, code: 'ExpiredToken', message: 'The security token included in the request is expired' }
        : undefined,
  },
  {
    name: 'caller_signature',
    source: troublePage,
    check({ request, signature, key }) {
      const wanted = Buffer.from(computeAwsSignature(request, signature, key?.secretAccessKey ?? ''))
      const given = Buffer.from(signature.signature)
      if (wanted.length === given.length && timingSafeEqual(wanted, given)) return undefined
      return mismatch(
        'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
      )
    },
  },
]

function readAmzDate(text: string): Date | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (!parts) return undefined
  const [, year, month, day, hour, minute, second] = parts
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** As `20260801T120000Z`. */
export function formatAmzDate(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
}
