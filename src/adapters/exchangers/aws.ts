/**
 * AWS: a token of ours for the credentials of a role, by STS `AssumeRoleWithWebIdentity`.
 *
 * The request is not signed: the token is all that vouches for it.
 *
 * @see {@link https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html AssumeRoleWithWebIdentity}
 * @module
 */
import { Buffer } from 'node:buffer'
import {
  AssumeRoleWithWebIdentityCommand,
  type AssumeRoleWithWebIdentityCommandInput,
  type AssumeRoleWithWebIdentityCommandOutput,
  STSClient,
  STSServiceException,
} from '@aws-sdk/client-sts'
import { type CloudAnswer, CloudError, type CloudExchange, type ExchangeAtCloud } from '../../core/cloud.ts'
import type { AwsTargetDocument } from '../../core/config-targets.ts'
import { awsEndpoint } from '../aws-endpoint.ts'
import type { HttpAnswer } from '../http-client.ts'
import { buildCloudError, buildMalformedError, cleanId, type Fix, secretOf } from './cloud-refusal.ts'
import type { CloudDeps } from './index.ts'
import { createWire, type Wire } from './wire.ts'

export function createAwsExchange({ clients, now }: CloudDeps): ExchangeAtCloud {
  return async (exchange) => {
    const document = exchange.target.document as AwsTargetDocument
    const endpoint = document.endpoint ?? awsEndpoint('sts', document.region)
    const wire = createWire(clients.of(exchange.target, [endpoint]), exchange.signal)
    const sts = createStsClient(document.region, endpoint, wire)
    try {
      const output = await sts.send(new AssumeRoleWithWebIdentityCommand(buildAssumeRole(exchange)))
      return readAssumeRole(output, document, wire, now())
    } catch (error) {
      throw translate(error, wire, exchange, now())
    }
  }
}

export function buildAssumeRole({ target, token, sessionName }: CloudExchange): AssumeRoleWithWebIdentityCommandInput {
  const document = target.document as AwsTargetDocument
  const arns = document.session_policy_arns.map((arn) => ({ arn }))
  return {
    RoleArn: document.role_arn,
    RoleSessionName: sessionName,
    WebIdentityToken: token,
    DurationSeconds: document.session_duration,
    ...(document.session_policy !== undefined && { Policy: document.session_policy }),
    ...(arns.length > 0 && { PolicyArns: arns }),
  }
}

/**
 * Everything is said that the library would otherwise look for in the environment, in profiles and at metadata services.
 * It holds nothing between exchanges, and to make it costs less than the request.
 */
function createStsClient(region: string, endpoint: string, wire: Wire): STSClient {
  return new STSClient({
    region,
    endpoint,
    credentials: () => Promise.reject(new Error('the request is not signed')),
    requestHandler: { handle: async (request: LibraryRequest) => ({ response: await send(request, endpoint, wire) }) },
    streamCollector: async (body: unknown) => body as Uint8Array,
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'standard',
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    authSchemePreference: ['smithy.api#noAuth'],
    sigv4aSigningRegionSet: [],
    userAgentAppId: async () => undefined,
    defaultUserAgentProvider: async () => [['apostille', '']],
  })
}

interface LibraryRequest {
  readonly body?: unknown
}

/** The library's form, and of its headers none: what matters of them is the same for every request. */
async function send({ body }: LibraryRequest, endpoint: string, wire: Wire) {
  const { status, headers, text } = await wire.ask({
    url: `${endpoint.replace(/\/$/, '')}/`,
    method: 'POST',
    headers: {
      // Anything that allows JSON is answered in JSON, which the library does not read.
      accept: 'text/xml',
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'apostille',
    },
    body: String(body),
  })
  return { statusCode: status, headers: Object.fromEntries(headers), body: Buffer.from(text) }
}

const accessKeyIdPattern = /^\w{1,128}$/ // Credentials of the STS API; records hold it

function readAssumeRole(
  { Credentials: given }: AssumeRoleWithWebIdentityCommandOutput,
  { role_arn: roleArn }: AwsTargetDocument,
  wire: Wire,
  now: Date,
): CloudAnswer {
  const accessKeyId = accessKeyIdPattern.exec(given?.AccessKeyId ?? '')?.[0]
  const secretAccessKey = secretOf(given?.SecretAccessKey)
  const sessionToken = secretOf(given?.SessionToken)
  const expiresAt = given?.Expiration
  const requestId = requestIdOf(wire.answer())
  if (!accessKeyId || !secretAccessKey || !sessionToken || !expiresAt || !(expiresAt > now)) throw malformed(wire, now)
  return {
    credential: { type: 'aws', accessKeyId, secretAccessKey, sessionToken, expiresAt, roleArn },
    ...(requestId !== undefined && { requestId }),
  }
}

function requestIdOf(answer: HttpAnswer | undefined): string | undefined {
  return cleanId(answer?.headers.get('x-amzn-requestid') ?? undefined)
}

function malformed(wire: Wire, now: Date): CloudError {
  const answer = wire.answer()
  const message = 'it answered something that is no answer of STS, or a credential that is incomplete or over'
  return answer ? buildMalformedError(message, { answer, requestId: requestIdOf(answer), now }) : internal
}

const internal = new CloudError('unreachable', 'the library made no request', { code: 'internal' })

/** What the library throws may hold the whole answer, and is no cause to keep. */
function translate(error: unknown, wire: Wire, { token }: CloudExchange, now: Date): CloudError {
  if (error instanceof CloudError) return error
  const answer = wire.answer()
  if (answer === undefined) return wire.failure() ?? internal
  const requestId = requestIdOf(answer)
  const code = error instanceof STSServiceException && 'Code' in error ? error.Code : undefined
  if (!(error instanceof Error) || typeof code !== 'string' || answer.status < 400) return malformed(wire, now)
  return buildCloudError({ code, text: error.message, requestId }, { answer, fixes, secrets: [token], now })
}

const throttled = (code: string): Fix => ({ code, kind: 'throttled', fix: 'STS limits the requests of an account' })

const fixes: readonly Fix[] = [
  {
    code: 'AccessDenied',
    fix: "the role's trust policy has to allow sts:AssumeRoleWithWebIdentity to our issuer for this sub and aud, and sts:TagSession and sts:SetSourceIdentity where the target has tags and source_identity",
  },
  {
    code: 'InvalidIdentityToken',
    says: /verification key/i,
    kind: 'unreachable',
    fix: 'AWS reads our discovery document and keys over the internet, within 5 seconds and without redirects',
  },
  {
    code: 'InvalidIdentityToken',
    says: /no openidconnect provider/i,
    fix: "the role's account needs an OIDC provider whose URL is our issuer, letter by letter",
  },
  {
    code: 'InvalidIdentityToken',
    says: /audience/i,
    fix: "the OIDC provider needs the target's audience among its client ids",
  },
  {
    code: 'InvalidIdentityToken',
    says: /thumbprint|certificate/i,
    fix: "the certificate of our issuer's host is of no public authority: give the OIDC provider the thumbprint of its CA",
  },
  {
    code: 'InvalidIdentityToken',
    fix: 'compare issuer, audience and algorithm with those of the OIDC provider, and the clock of this host',
  },
  {
    code: 'ExpiredTokenException',
    kind: 'expired_token',
    fix: 'the clock of this host may be behind',
  },
  { code: 'ExpiredToken', kind: 'expired_token', fix: 'the clock of this host may be behind' },
  {
    code: 'IDPCommunicationError',
    kind: 'unreachable',
    fix: 'AWS reads our discovery document and keys over the internet',
  },
  { code: 'IDPRejectedClaim', fix: 'the issuer that AWS has for this provider does not vouch for the token' },
  { code: 'RegionDisabledException', fix: 'let the account use STS in this region, or set another `region`' },
  { code: 'PackedPolicyTooLarge', fix: 'shorten session_policy, session_policy_arns and tags' },
  { code: 'MalformedPolicyDocument', fix: 'session_policy is no policy that IAM takes' },
  {
    code: 'ValidationError',
    says: /DurationSeconds/i,
    fix: "session_duration is above the role's maximum session duration",
  },
  throttled('Throttling'),
  throttled('ThrottlingException'),
  throttled('ThrottledException'),
  throttled('RequestThrottled'),
  throttled('RequestThrottledException'),
  throttled('RequestLimitExceeded'),
  throttled('TooManyRequestsException'),
  throttled('SlowDown'),
]
