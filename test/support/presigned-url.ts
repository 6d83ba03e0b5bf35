/**
 * Presigned AWS requests, written out by hand so that anything about them can be wrong, and verified as AWS does: from the
 * request that arrives, by the rules of SigV4 alone.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html SigV4}
 * @module
 */
import { createHash, createHmac } from 'node:crypto'

export interface PresignOptions {
  readonly host: string
  readonly region: string
  /** Signed as `x-k8s-aws-id`. */
  readonly audience: string
  readonly signedAt: Date
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly securityToken?: string
  readonly service?: string
  /** Headers that are signed besides `host` and `x-k8s-aws-id`, or instead of them where they say `undefined`. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** Replaces parameters, adds others, or leaves out where it says `undefined`; signed too. */
  readonly parameters?: Readonly<Record<string, string | undefined>>
}

/** RFC 3986: everything but the unreserved characters. */
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`)
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
const basicTime = (time: Date) => time.toISOString().replace(/[-:]|\.\d+/g, '')

function defined(values: Readonly<Record<string, string | undefined>>): [string, string][] {
  return Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined)
}

interface Canonical {
  readonly parameters: readonly (readonly [string, string])[]
  readonly headers: readonly (readonly [string, string])[]
  readonly date: string
  readonly scope: string
  readonly secretAccessKey: string
}

function signatureOf({ parameters, headers, date, scope, secretAccessKey }: Canonical): string {
  const query = parameters
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&')
  const lines = headers.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}\n`).join('')
  const request = ['GET', '/', query, lines, headers.map(([name]) => name).join(';'), sha256('')].join('\n')
  const [day = '', region = '', service = '', end = ''] = scope.split('/')
  const key = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, day), region), service), end)
  return hmac(key, ['AWS4-HMAC-SHA256', date, scope, sha256(request)].join('\n')).toString('hex')
}

export function presignUrl(options: PresignOptions): string {
  const { host, region, audience, accessKeyId, secretAccessKey, securityToken, service = 'sts' } = options
  const date = basicTime(options.signedAt)
  const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`
  const headers = defined({ host, 'x-k8s-aws-id': audience, ...options.headers }).sort(([a], [b]) => (a < b ? -1 : 1))
  const parameters = defined({
    Action: 'GetCallerIdentity',
    Version: '2011-06-15',
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${accessKeyId}/${scope}`,
    'X-Amz-Date': date,
    'X-Amz-Expires': '60',
    'X-Amz-Security-Token': securityToken,
    'X-Amz-SignedHeaders': headers.map(([name]) => name).join(';'),
    ...options.parameters,
  })
  const signature = signatureOf({ parameters, headers, date, scope, secretAccessKey })
  const query = parameters.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
  return `https://${host}/?${query}&X-Amz-Signature=${signature}`
}

/** As `aws eks get-token` wraps it. */
export function wrapUrl(url: string): string {
  return `k8s-aws-v1.${Buffer.from(url, 'utf8').toString('base64url')}`
}

export function presign(options: PresignOptions): string {
  return wrapUrl(presignUrl(options))
}

/** @param headers Those that arrived, names in lower case. @returns Whose signature it is; undefined where it is not. */
export function verifyPresigned(
  path: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  secretOf: (accessKeyId: string) => string | undefined,
): string | undefined {
  const parameters = [...new URL(path, 'https://any').searchParams]
  const parameter = (wanted: string) => parameters.find(([name]) => name === wanted)?.[1] ?? ''
  const [accessKeyId = '', ...scope] = parameter('X-Amz-Credential').split('/')
  const secretAccessKey = secretOf(accessKeyId)
  if (secretAccessKey === undefined) return undefined
  const expected = signatureOf({
    parameters: parameters.filter(([name]) => name !== 'X-Amz-Signature'),
    headers: parameter('X-Amz-SignedHeaders')
      .split(';')
      .map((name) => [name, String(headers[name] ?? '')] as const),
    date: parameter('X-Amz-Date'),
    scope: scope.join('/'),
    secretAccessKey,
  })
  return expected === parameter('X-Amz-Signature') ? accessKeyId : undefined
}
