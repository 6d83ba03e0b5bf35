/**
 * What clouds ask of an issuer's discovery document and keys, held against what it answers.
 *
 * The strictest of AWS, Entra and Google counts, as one document serves them all.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html AWS}
 * @see {@link https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations Entra}
 * @see {@link https://openid.net/specs/openid-connect-discovery-1_0.html OpenID Connect Discovery 1.0}
 * @module
 */
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { isJsonObject, parseStrictJson } from '../protocol/json.ts'
import { type Finding, findError, findWarning } from './finding.ts'

/** An answer of the issuer. */
export interface IssuerAnswer {
  readonly url: string
  readonly status: number
  /** Without parameters, in lower case; empty where there is none. */
  readonly mediaType: string
  /** Of a redirect. */
  readonly location?: string
  readonly text: string
  readonly durationMs: number
}

export interface DiscoveryCheck {
  readonly findings: readonly Finding[]
  /** Where it says so in a way that can be followed. */
  readonly jwksUri?: string
  /** As it lists them. */
  readonly algorithms: readonly string[]
}

const jsonTypes = ['application/json', 'application/jwk-set+json']
const proxy = 'look at what stands between the internet and the gateway: it has to hand this path on as it is'

export function checkDiscovery(answer: IssuerAnswer, issuer: string): DiscoveryCheck {
  const unread = findUnreadable('discovery', answer)
  const members = readObject(answer.text)
  if (unread.length > 0 || members === undefined)
    return { findings: unread.length > 0 ? unread : [notJson('discovery', answer)], algorithms: [] }
  const { jwks_uri: jwksUri } = members
  const algorithms = textsOf(members['id_token_signing_alg_values_supported'])
  const followable = typeof jwksUri === 'string' && URL.parse(jwksUri)?.protocol === 'https:'
  return {
    findings: [...findOtherIssuer(members, issuer), ...findMissingMembers(members), ...findBadJwksUri(members)],
    algorithms,
    ...(followable && { jwksUri }),
  }
}

/** What keeps an answer from being read at all, or from being read by a cloud that looks closer. */
function findUnreadable(document: 'discovery' | 'keys', answer: IssuerAnswer): readonly Finding[] {
  const { url, status, location, mediaType } = answer
  if (status >= 300 && status < 400) {
    const where = location === undefined ? '' : ` to ${printable(location)}`
    return [findError(`${document}_redirect`, `${url} redirects (${status})${where}, and clouds do not follow`, proxy)]
  }
  if (status !== 200) return [findError(`${document}_status`, `${url} answers ${status} and not 200`, proxy)]
  if (!jsonTypes.includes(mediaType)) {
    const message = `${url} is of type ${printable(mediaType) || 'none'} and not application/json`
    return [findError(`${document}_content_type`, message, proxy)]
  }
  return []
}

function notJson(document: 'discovery' | 'keys', { url }: IssuerAnswer): Finding {
  return findError(`${document}_not_json`, `${url} is no JSON object, or holds a member twice`, proxy)
}

function readObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseStrictJson(text)
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

/** §4.3: compared as strings, a slash at the end included. */
function findOtherIssuer({ issuer: said }: Readonly<Record<string, unknown>>, issuer: string): readonly Finding[] {
  if (said === issuer) return []
  const message = `the document says issuer ${printable(String(said))}, and the tokens say ${issuer}`
  const remedy = 'serve the document of this gateway at this host; `apostille reload` where the issuer was changed'
  return [findError('discovery_issuer', message, remedy)]
}

/** What each must list; AWS asks for all of these. */
const neededMembers: readonly (readonly [member: string, value: string | undefined])[] = [
  ['response_types_supported', 'id_token'],
  ['subject_types_supported', 'public'],
  ['id_token_signing_alg_values_supported', undefined],
  ['claims_supported', 'sub'],
]

function findMissingMembers(members: Readonly<Record<string, unknown>>): readonly Finding[] {
  return neededMembers
    .filter(([member, value]) => {
      const texts = textsOf(members[member])
      return value === undefined ? texts.length === 0 : !texts.includes(value)
    })
    .map(([member, value]) =>
      findError(
        'discovery_member',
        value === undefined ? `the document has no ${member}` : `the document has no ${value} in ${member}`,
        'serve the document as this gateway gives it',
      ),
    )
}

function findBadJwksUri({ jwks_uri: uri }: Readonly<Record<string, unknown>>): readonly Finding[] {
  if (typeof uri === 'string' && URL.parse(uri)?.protocol === 'https:') return []
  const message = typeof uri === 'string' ? 'jwks_uri is no https URL' : 'the document has no jwks_uri'
  return [findError('discovery_jwks_uri', message, 'serve the document as this gateway gives it')]
}

/** What signs the tokens for the target now; absent where it is not known. */
export interface Signer {
  readonly kid: string
  readonly algorithm: SignatureAlgorithm
}

export interface KeysCheck {
  readonly findings: readonly Finding[]
  readonly count: number
}

type Jwk = Readonly<Record<string, unknown>>

/** Entra keeps the first 100, AWS refuses more. */
const maxKeys = 100
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']

export function checkKeys(answer: IssuerAnswer, signer: Signer | undefined): KeysCheck {
  const unread = findUnreadable('keys', answer)
  if (unread.length > 0) return { findings: unread, count: 0 }
  const list = readObject(answer.text)?.['keys']
  if (!Array.isArray(list)) return { findings: [notJson('keys', answer)], count: 0 }
  const keys: readonly Jwk[] = list.filter(isJsonObject)
  return {
    findings: [...findBadCount(keys.length), ...oncePerCode(keys.flatMap(findBadKey)), ...findSigner(keys, signer)],
    count: keys.length,
  }
}

function findBadCount(count: number): readonly Finding[] {
  if (count === 0) return [findError('keys_none', 'there is no key in it', republish)]
  if (count <= maxKeys) return []
  return [findError('keys_many', `there are ${count} keys, and clouds take ${maxKeys}`, republish)]
}

const republish = 'serve the keys as this gateway gives them'

function findBadKey(key: Jwk): readonly Finding[] {
  const name = printable(String(key['kid'] ?? 'without kid'))
  const found: Finding[] = []
  if (privateMembers.some((member) => Object.hasOwn(key, member)))
    found.push(
      findError(
        'keys_private',
        `key ${name} shows its private half`,
        'revoke it at once: `apostille authority revoke`',
      ),
    )
  if (key['use'] !== 'sig')
    found.push(
      findError(
        'keys_use',
        `key ${name} is for ${printable(String(key['use'] ?? 'nothing'))}, and Entra and Google take \`use: sig\` only`,
        'jwks_uri has to lead to /keys of the gateway, and not to the SPIFFE bundle',
      ),
    )
  if (typeof key['alg'] !== 'string' || typeof key['kid'] !== 'string')
    found.push(findError('keys_alg', `key ${name} does not say its kid and alg`, republish))
  return found
}

/** What is wrong with one key is mostly wrong with all. */
function oncePerCode(findings: readonly Finding[]): readonly Finding[] {
  return [...Map.groupBy(findings, ({ code }) => code).values()].flatMap(([first, ...more]) => {
    if (first === undefined) return []
    return [more.length === 0 ? first : { ...first, message: `${first.message} (and ${more.length} more keys)` }]
  })
}

function findSigner(keys: readonly Jwk[], signer: Signer | undefined): readonly Finding[] {
  if (signer === undefined || keys.length === 0) return []
  const { kid, algorithm } = signer
  const published = keys.find((key) => key['kid'] === kid)
  if (published === undefined)
    return [
      findError(
        'keys_signer',
        `the key that signs now is not among them: ${kid} (${algorithm})`,
        'what is served there is old or of another gateway: purge caches on the way, or point the host at this one',
      ),
    ]
  if (published['alg'] === algorithm) return []
  const message = `the key that signs now is published for another algorithm than ${algorithm}: ${kid}`
  return [findError('keys_signer_alg', message, republish)]
}

/** Whether the discovery document says what the tokens are signed with. */
export function checkAlgorithm(algorithms: readonly string[], algorithm: SignatureAlgorithm): readonly Finding[] {
  if (algorithms.length === 0 || algorithms.includes(algorithm)) return []
  const message = `the discovery document lists ${algorithms.map(printable).join(', ')}, and not ${algorithm}`
  return [findWarning('algorithm_unlisted', message, 'reload, and wait until clouds read the document again')]
}

/** What somebody else wrote, in one line. */
function printable(text: string): string {
  const line = text.replace(/[^\x20-\x7e]/g, '?')
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
