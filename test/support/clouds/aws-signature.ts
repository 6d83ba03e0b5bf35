/**
 * Signature Version 4, as the side that checks it: in the query of a presigned URL, or in the Authorization header.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html}
 * @module
 */
import { createHash, createHmac } from 'node:crypto'
import type { CloudRequest } from './cloud-server.ts'

export interface AwsSignature {
  readonly where: 'query' | 'header'
  readonly algorithm: string
  /** `<key id>/<date>/<region>/<service>/aws4_request`; parts that are missing are empty. */
  readonly credential: readonly string[]
  readonly amzDate: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  readonly sessionToken: string | undefined
  /** As written; a presigned URL only. */
  readonly expires: string | undefined
  /** What should be there once, and is missing or there twice. */
  readonly wrong: readonly string[]
}

const queryNames = ['Algorithm', 'Credential', 'Date', 'SignedHeaders', 'Signature', 'Security-Token', 'Expires']
const neededInQuery = ['Algorithm', 'Credential', 'Date', 'SignedHeaders', 'Signature']

/** @returns undefined for a request that is not signed at all */
export function readAwsSignature(request: CloudRequest): AwsSignature | undefined {
  const query = new URLSearchParams(request.search)
  if (queryNames.some((name) => query.has(`X-Amz-${name}`))) return readFromQuery(query)
  const header = request.headers['authorization']
  return header === undefined ? undefined : readFromHeader(header, request)
}

function readFromQuery(query: URLSearchParams): AwsSignature {
  const value = (name: string) => query.get(`X-Amz-${name}`) ?? undefined
  const wrong = queryNames.filter((name) => {
    const count = query.getAll(`X-Amz-${name}`).length
    return count > 1 || (count === 0 && neededInQuery.includes(name))
  })
  return {
    where: 'query',
    algorithm: value('Algorithm') ?? '',
    credential: (value('Credential') ?? '').split('/'),
    amzDate: value('Date') ?? '',
    signedHeaders: (value('SignedHeaders') ?? '').split(';'),
    signature: value('Signature') ?? '',
    sessionToken: value('Security-Token'),
    expires: value('Expires'),
    wrong: wrong.map((name) => `X-Amz-${name}`),
  }
}

function readFromHeader(header: string, request: CloudRequest): AwsSignature {
  const [algorithm = '', ...rest] = header.split(' ')
  const fields = new Map(
    rest
      .join(' ')
      .split(/,\s*/)
      .map((field) => [field.split('=')[0] ?? '', field.split('=').slice(1).join('=')] as const),
  )
  const wrong = ['Credential', 'SignedHeaders', 'Signature'].filter((name) => !fields.get(name))
  const amzDate = request.headers['x-amz-date'] ?? ''
  return {
    where: 'header',
    algorithm,
    credential: (fields.get('Credential') ?? '').split('/'),
    amzDate,
    signedHeaders: (fields.get('SignedHeaders') ?? '').split(';'),
    signature: fields.get('Signature') ?? '',
    sessionToken: request.headers['x-amz-security-token'],
    expires: undefined,
    wrong: amzDate === '' ? [...wrong, 'X-Amz-Date'] : wrong,
  }
}

/** The signature that this request has to have, in hex. */
export function computeAwsSignature(request: CloudRequest, signature: AwsSignature, secret: string): string {
  const [, date = '', region = '', service = ''] = signature.credential
  const scope = `${date}/${region}/${service}/aws4_request`
  const canonical = sha256(canonicalRequest(request, signature))
  const text = [signature.algorithm, signature.amzDate, scope, canonical].join('\n')
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`)
  return hmac(key, text).toString('hex')
}

function canonicalRequest(request: CloudRequest, { signedHeaders }: AwsSignature): string {
  const query = [...new URLSearchParams(request.search)]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map((pair) => pair.join('='))
    .join('&')
  const headers = signedHeaders.map((name) => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`)
  const list = signedHeaders.join(';')
  return [request.method, request.path, query, headers.join(''), list, sha256(request.body)].join('\n')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
