/**
 * Presigned identities: an AWS `GetCallerIdentity` request, signed by whoever it identifies and sent by somebody else.
 *
 * The form is that of EKS: `k8s-aws-v1.` and the URL in base64url, with a header `x-k8s-aws-id` in the signature that says
 * whom the request is for. What a URL parser would repair or pass over is refused, since the request is built again from
 * the parts that were read: nothing of the text itself is ever sent. Names of parameters have the one spelling that signers
 * use, so that none can hide a second one of another spelling.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html SigV4}
 * @see {@link https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/master/pkg/token/token.go aws-iam-authenticator}
 * @module
 */
import { Buffer } from 'node:buffer'
import { hash } from 'node:crypto'
import { formatBase64Url, parseBase64Url } from './encoding.ts'
import { ProtocolError } from './errors.ts'

export const presignedIdentityPrefix = 'k8s-aws-v1.'

/** The header, part of the signature, whose value says whom the request is for. */
export const audienceHeader = 'x-k8s-aws-id'

export const awsPartitions = ['aws', 'aws-cn', 'aws-us-gov'] as const
export type AwsPartition = (typeof awsPartitions)[number]

/** The STS that a request is for. */
export interface StsPlace {
  readonly partition: AwsPartition
  /** Host, with a port that is not 443, of an endpoint of one's own; then the public ones are none. */
  readonly endpointHost?: string
}

/** What the signature of a presigned identity is over. */
export interface UnsignedIdentity {
  /** Lower case; with a port for an endpoint that has one. */
  readonly host: string
  readonly accessKeyId: string
  readonly region: string
  /** To the second. */
  readonly signedAt: Date
  /** 1 to 900. STS takes no notice of it. */
  readonly expiresSeconds: number
  /** Of temporary credentials. */
  readonly securityToken?: string
}

/** Made by {@link parsePresignedIdentity}. */
export interface PresignedIdentity extends UnsignedIdentity {
  /** 64 hex digits in lower case. */
  readonly signature: string
}

/** How long STS takes a signature, and so do we, whatever `X-Amz-Expires` says. */
export const presignedLifeSeconds = 900
const maxFutureSeconds = 60

const fixed = {
  Action: 'GetCallerIdentity',
  Version: '2011-06-15',
  'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
  'X-Amz-SignedHeaders': `host;${audienceHeader}`,
} as const

const variable = {
  'X-Amz-Credential': /^([A-Z0-9]{16,128})\/(\d{8})\/([a-z0-9-]{1,64})\/sts\/aws4_request$/,
  'X-Amz-Date': /^\d{8}T\d{6}Z$/,
  'X-Amz-Expires': /^(?:[1-9]\d?|[1-8]\d\d|900)$/,
  'X-Amz-Signature': /^[0-9a-f]{64}$/,
} as const

const optional = { 'X-Amz-Security-Token': /^[A-Za-z0-9+/=_-]+$/ } as const

// Visible ASCII in front and behind: no user, no fragment, no dot of another alphabet.
const urlPattern = /^https:\/\/([a-z0-9.-]{1,253}(?::[1-9]\d{0,4})?)\/\?([\x21\x22\x24-\x7e]+)$/

const regionPatterns: Readonly<Record<AwsPartition, RegExp>> = {
  aws: /^(?!cn-)[a-z]{2}-[a-z]+-\d{1,2}$/,
  'aws-cn': /^cn-[a-z]+-\d{1,2}$/,
  'aws-us-gov': /^us-gov-[a-z]+-\d{1,2}$/,
}

const suffixes: Readonly<Record<AwsPartition, readonly string[]>> = {
  aws: ['amazonaws.com', 'api.aws'],
  'aws-cn': ['amazonaws.com.cn', 'api.amazonwebservices.com.cn'],
  'aws-us-gov': ['amazonaws.com', 'api.aws'],
}

const globalHost = 'sts.amazonaws.com'
const globalRegion = 'us-east-1' // the one that signatures for the global endpoint name

export function isAwsRegion(region: string, partition: AwsPartition): boolean {
  return regionPatterns[partition].test(region)
}

/** The region of a public STS host of the partition; undefined for every other host. */
export function regionOfStsHost(host: string, partition: AwsPartition): string | undefined {
  if (host === globalHost && partition === 'aws') return globalRegion
  const [, region, suffix] = /^sts(?:-fips)?\.([a-z0-9-]+)\.(.+)$/.exec(host) ?? []
  if (region === undefined || suffix === undefined) return undefined
  return isAwsRegion(region, partition) && suffixes[partition].includes(suffix) ? region : undefined
}

/** The host that signers take for a region by default; undefined for one of no partition that we know. */
export function stsHostOfRegion(region: string): string | undefined {
  const partition = awsPartitions.find((candidate) => isAwsRegion(region, candidate))
  return partition && `sts.${region}.${suffixes[partition][0]}`
}

/** The host that a token says, whatever else it says: only good to choose who reads it. @throws {ProtocolError} `presigned_identity` */
export function readPresignedHost(token: string): string {
  return splitUrl(token).host
}

/** Whether requests to the host are for this STS. */
export function isStsHost(host: string, { partition, endpointHost }: StsPlace): boolean {
  return endpointHost === undefined ? regionOfStsHost(host, partition) !== undefined : host === endpointHost
}

/**
 * Everything but the signature is checked; that is for STS alone.
 *
 * @throws {ProtocolError} `presigned_identity`, `presigned_identity_host`, `presigned_identity_expired`,
 *   `presigned_identity_not_yet_valid`
 */
export function parsePresignedIdentity(token: string, place: StsPlace, now: Date): PresignedIdentity {
  const { host, query } = splitUrl(token)
  if (!isStsHost(host, place)) throw new ProtocolError('presigned_identity_host', 'not the STS that is asked here')
  const values = readQuery(query)
  const [, accessKeyId = '', day, region = ''] =
    variable['X-Amz-Credential'].exec(take(values, 'X-Amz-Credential')) ?? []
  checkRegion(region, host, place)
  const date = take(values, 'X-Amz-Date')
  if (date.slice(0, 8) !== day) throw refused('the credential is of another day')
  const signedAt = parseDate(date)
  checkTime(signedAt, now)
  const securityToken = values.get('X-Amz-Security-Token')
  return {
    host,
    accessKeyId,
    region,
    signedAt,
    expiresSeconds: Number(take(values, 'X-Amz-Expires')),
    ...(securityToken === undefined ? {} : { securityToken }),
    signature: take(values, 'X-Amz-Signature'),
  }
}

/** Names the proof, for a store of those that were shown. A signature is made with one key, so the two name one request. */
export function digestPresignedIdentity({ accessKeyId, signature }: PresignedIdentity): Buffer {
  return hash('sha256', `${accessKeyId}\n${signature}`, 'buffer')
}

/** The URL of the signed request; it is good only with the header that was signed. */
export function buildPresignedUrl(identity: PresignedIdentity): string {
  return `https://${identity.host}/?${canonicalQuery(identity)}&X-Amz-Signature=${identity.signature}`
}

export function formatPresignedIdentity(identity: PresignedIdentity): string {
  return presignedIdentityPrefix + formatBase64Url(Buffer.from(buildPresignedUrl(identity), 'latin1'))
}

/** What the signature is made of, and the scope of the key that makes it. @param audience Value of {@link audienceHeader}. */
export function buildStringToSign(identity: UnsignedIdentity, audience: string): string {
  const canonicalRequest = [
    'GET',
    '/',
    canonicalQuery(identity),
    `host:${identity.host}`,
    `${audienceHeader}:${audience}`,
    '',
    fixed['X-Amz-SignedHeaders'],
    hash('sha256', ''),
  ].join('\n')
  const date = formatDate(identity.signedAt)
  return [fixed['X-Amz-Algorithm'], date, scopeOf(identity), hash('sha256', canonicalRequest)].join('\n')
}

function refused(detail: string): ProtocolError {
  return new ProtocolError('presigned_identity', detail)
}

function splitUrl(token: string): { readonly host: string; readonly query: string } {
  if (!token.startsWith(presignedIdentityPrefix)) throw refused('not of this kind')
  const [, host, query] = urlPattern.exec(decode(token.slice(presignedIdentityPrefix.length))) ?? []
  if (host === undefined || query === undefined) throw refused('not the URL of an STS request')
  return { host, query }
}

function decode(text: string): string {
  try {
    return parseBase64Url(text).toString('latin1')
  } catch (cause) {
    throw new ProtocolError('presigned_identity', 'not base64url without padding', { cause })
  }
}

type Parameter = keyof typeof fixed | keyof typeof variable | keyof typeof optional

/** Each parameter that we know, once, and no other. */
function readQuery(query: string): ReadonlyMap<Parameter, string> {
  const values = new Map<Parameter, string>()
  for (const part of query.split('&')) {
    const equals = part.indexOf('=')
    const name = part.slice(0, Math.max(0, equals))
    if (!isParameter(name)) throw refused('a parameter that is none of GetCallerIdentity')
    if (values.has(name)) throw refused('a parameter is repeated')
    values.set(name, checkValue(name, decodeValue(part.slice(equals + 1))))
  }
  for (const name of Object.keys({ ...fixed, ...variable })) if (!values.has(name as Parameter)) throw missing(name)
  return values
}

function isParameter(name: string): name is Parameter {
  return Object.hasOwn(fixed, name) || Object.hasOwn(variable, name) || Object.hasOwn(optional, name)
}

/** A bare `+` is a space to some readers and a plus to others. */
function decodeValue(text: string): string {
  try {
    if (!text.includes('+')) return decodeURIComponent(text)
  } catch {
    // As below.
  }
  throw refused('a value is not percent-encoded')
}

function checkValue(name: Parameter, value: string): string {
  const wanted: string | RegExp = { ...fixed, ...variable, ...optional }[name]
  const sound = typeof wanted === 'string' ? value === wanted : wanted.test(value)
  if (!sound) throw refused(`${name} is not what it has to be`)
  return value
}

function take(values: ReadonlyMap<Parameter, string>, name: Parameter): string {
  const value = values.get(name)
  if (value === undefined) throw missing(name)
  return value
}

function missing(name: string): ProtocolError {
  return refused(`${name} is missing`)
}

function checkRegion(region: string, host: string, { partition, endpointHost }: StsPlace): void {
  const sound =
    endpointHost === undefined ? region === regionOfStsHost(host, partition) : isAwsRegion(region, partition)
  if (!sound) throw refused('the credential is for another region')
}

function parseDate(text: string): Date {
  const date = new Date(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (Number.isNaN(date.getTime()) || formatDate(date) !== text) throw refused('X-Amz-Date is no time')
  return date
}

function checkTime(signedAt: Date, now: Date): void {
  const ageMs = now.getTime() - signedAt.getTime()
  if (ageMs > presignedLifeSeconds * 1000)
    throw new ProtocolError('presigned_identity_expired', `signed more than ${presignedLifeSeconds} s ago`)
  if (ageMs < -maxFutureSeconds * 1000)
    throw new ProtocolError('presigned_identity_not_yet_valid', `signed more than ${maxFutureSeconds} s from now`)
}

/** `20260101T120000Z` */
function formatDate(date: Date): string {
  return date.toISOString().replace(/[-:]|\.\d+/g, '')
}

function scopeOf({ signedAt, region }: UnsignedIdentity): string {
  return `${formatDate(signedAt).slice(0, 8)}/${region}/sts/aws4_request`
}

/** In the order of their names, as the signature wants them. */
function canonicalQuery(identity: UnsignedIdentity): string {
  const { accessKeyId, signedAt, expiresSeconds, securityToken } = identity
  const pairs: readonly (readonly [Parameter, string | undefined])[] = [
    ['Action', fixed.Action],
    ['Version', fixed.Version],
    ['X-Amz-Algorithm', fixed['X-Amz-Algorithm']],
    ['X-Amz-Credential', `${accessKeyId}/${scopeOf(identity)}`],
    ['X-Amz-Date', formatDate(signedAt)],
    ['X-Amz-Expires', String(expiresSeconds)],
    ['X-Amz-Security-Token', securityToken],
    ['X-Amz-SignedHeaders', fixed['X-Amz-SignedHeaders']],
  ]
  return pairs.flatMap(([name, value]) => (value === undefined ? [] : `${name}=${encodeURIComponent(value)}`)).join('&')
}
