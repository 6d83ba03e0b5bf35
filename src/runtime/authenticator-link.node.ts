/**
 * The links to those who vouch for workloads: whether the keys of each issuer can be had, and whose clock says what.
 *
 * @module
 */

import { createFileReader } from '../adapters/file-reader.node.ts'
import { type HttpClient, UpstreamError, type UpstreamErrorCode } from '../adapters/http-client.ts'
import { createIssuerKeys } from '../adapters/issuer-keys.ts'
import type { Configuration } from '../core/config.ts'
import type { AuthenticatorConfig } from '../core/config-authenticators.ts'
import { type Finding, findError, findWarning } from '../core/finding.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { parseKeySet } from '../protocol/key-set.ts'
import { type Check, concludeCheck, type DoctorDeps, skipCheck } from './doctor.node.ts'
import { readSkew } from './issuer-link.node.ts'

/** The clock of somebody less ours. */
export interface Skew {
  readonly name: string
  readonly seconds: number
}

type IssuerConfig = Extract<AuthenticatorConfig, { readonly type: 'oidc' | 'kubernetes' }>
type Deps = Pick<DoctorDeps, 'connect' | 'now' | 'monotonicMs'>

/** What was seen of one. */
interface SeenIssuer {
  readonly name: string
  readonly keys?: number
  readonly findings: readonly Finding[]
  readonly skewSeconds?: number
}

export async function checkAuthenticators(
  { authenticators }: Configuration,
  deps: Deps,
): Promise<{ readonly check: Check; readonly skews: readonly Skew[] }> {
  const issuers = [...authenticators.values()].filter(hasIssuer)
  const seen = await Promise.all(issuers.map((config) => lookAt(config, deps)))
  const skews = seen.flatMap(({ name, skewSeconds: seconds }) => (seconds === undefined ? [] : [{ name, seconds }]))
  if (seen.length === 0) return { check: skipCheck('authenticators', 'none has an issuer to ask'), skews }
  const told = seen
    .map(({ name, keys }) => `${name} ${keys === undefined ? 'fails' : `${keys} ${keys === 1 ? 'key' : 'keys'}`}`)
    .join(', ')
  return {
    check: concludeCheck(
      'authenticators',
      told,
      seen.flatMap(({ findings }) => findings),
    ),
    skews,
  }
}

function hasIssuer(config: AuthenticatorConfig): config is IssuerConfig {
  return config.type === 'oidc' || config.type === 'kubernetes'
}

async function lookAt(config: IssuerConfig, deps: Deps): Promise<SeenIssuer> {
  const { name, issuer, jwks_uri: jwksUri, ca_file: caFile } = config
  const hosts = [issuer, jwksUri].flatMap((url) => (url === undefined ? [] : new URL(url).hostname))
  const client = deps.connect({ hosts, private: config.private, ...(caFile !== undefined && { caFile }) })
  let skewSeconds: number | undefined
  const request: HttpClient['request'] = async (wanted) => {
    const answer = await client.request(wanted)
    skewSeconds = readSkew(answer.headers, deps.now()) ?? skewSeconds
    return answer
  }
  const seen = () => (skewSeconds === undefined ? { name } : { name, skewSeconds })
  try {
    const read = createIssuerKeys(config, { request, files: createFileReader(), monotonicMs: deps.monotonicMs })
    const { keys } = parseKeySet((await read()).text)
    return { ...seen(), keys: keys.length, findings: keys.length === 0 ? [noKeys(name)] : [] }
  } catch (error) {
    return { ...seen(), findings: [explain(config, error)] }
  } finally {
    await client.close()
  }
}

function noKeys(name: string): Finding {
  const message = `no key of the issuer of ${name} can verify anything`
  return findError('authenticator_keys', message, `look at what jwks_uri or jwks_file of ${name} leads to`)
}

const remedies: Partial<Readonly<Record<UpstreamErrorCode, string>>> = {
  tls: 'name the authorities that vouch for it: `ca_file`',
  address: 'where its keys may lie at a private address, say `private: true`',
  status: 'where it does not answer strangers, name a token: `token_file`; or the keys: `jwks_uri`',
}

function explain({ name, issuer }: IssuerConfig, error: unknown): Finding {
  const at = `the keys of ${name} (${issuer}) can not be had`
  if (error instanceof UpstreamError) {
    const usual = 'let the gateway reach it, or give its keys in a file: `jwks_file`'
    return findError(`authenticator_${error.code}`, `${at}: ${error.message}`, remedies[error.code] ?? usual)
  }
  if (error instanceof ProtocolError)
    return findError('authenticator_malformed', `${at}: ${error.message}`, `look at what answers for ${issuer}`)
  throw error
}

const maxSkewSeconds = 60
const smallSkewSeconds = 10

/** Where all agree it is the clock of this machine that is wrong. */
export function checkClocks(skews: readonly Skew[]): Check {
  if (skews.length === 0) return skipCheck('clock', 'nobody answered whose clock could be compared')
  const seen = skews.map(({ name, seconds }) => `${name} ${seconds >= 0 ? '+' : ''}${seconds} s`).join(', ')
  const far = skews.filter(({ seconds }) => Math.abs(seconds) > maxSkewSeconds)
  const near = skews.filter(({ seconds }) => Math.abs(seconds) > smallSkewSeconds)
  const remedy = "let this host's clock follow a time server"
  if (far.length === skews.length)
    return concludeCheck('clock', seen, [
      findError('clock_skew', 'the clock here is off: tokens seem expired, or of the future', remedy),
    ])
  const off = far.map(({ name }) => findWarning('clock_there', `the clock of ${name} is off`, 'tell whoever runs it'))
  const drifting = near.length === skews.length ? [findWarning('clock_drift', 'the clock here drifts', remedy)] : []
  return concludeCheck('clock', seen, [...off, ...drifting])
}
