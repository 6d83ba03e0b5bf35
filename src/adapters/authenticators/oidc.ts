/**
 * Tokens of OpenID Connect providers: CI systems, clouds, identity providers.
 *
 * @module
 */
import type { Authentication, Authenticator, Proof } from '../../core/authenticate.ts'
import type { OidcConfig } from '../../core/config-authenticators.ts'
import { oidcPresets, type PresetAttribute, type PresetName } from '../../core/oidc-presets.ts'
import { quote } from '../../core/quote.ts'
import { Refusal } from '../../core/refusal.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { verifyForeignToken } from '../foreign-token.ts'
import type { ConnectUpstream } from '../http-client.ts'
import { createRemoteJwks } from '../remote-jwks.ts'
import type { FileReader } from '../watched-file.ts'

/** What authenticators need that ask an issuer for its keys. */
export interface IssuerDeps {
  readonly connect: ConnectUpstream
  readonly files: FileReader
  readonly now: () => Date
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
  readonly telemetry: Telemetry
  /** Whether requests may wait for what another one fetches; not on Workers. */
  readonly shareFetches: boolean
}

const reusableMs = 5 * 60_000

export function createOidcAuthenticator(config: OidcConfig, deps: IssuerDeps): Authenticator {
  const { name, issuer, audience, preset } = config
  const upstream = deps.connect(issuerPlace(config))
  const keys = createRemoteJwks(config, { ...deps, request: upstream.request })

  async function authenticate(proof: Proof, now: Date): Promise<Authentication> {
    const token = await verifyForeignToken(requireBearer(proof), { keys, issuer, audience, now })
    const { claims, subject, expiresAt, keysVersion } = token
    const known = readAttributes(preset, claims)
    return {
      identity: {
        authenticator: name,
        type: 'oidc',
        attributes: { ...known.attributes, issuer, subject, claims },
        recorded: { ...known.recorded, issuer, subject },
        use: { kind: 'rules' },
      },
      reusableUntil: reusableUntil(expiresAt, now),
      stillHolds: () => keys.version() === keysVersion,
    }
  }

  return {
    name,
    type: 'oidc',
    accepts: { issuer, audience },
    holdsKey: keys.holds,
    authenticate,
    close: upstream.close,
  }
}

type Claims = Readonly<Record<string, unknown>>

/** What the preset makes of the claims. @throws {Refusal} `proof_rejected` for one that is missing or of another type */
function readAttributes(preset: PresetName | undefined, claims: Claims) {
  const rows = preset === undefined ? [] : Object.entries(oidcPresets[preset])
  const found = rows.flatMap(([name, row]) => {
    const text = readAttribute(name, row, claims)
    return text === undefined ? [] : [[name, text, row.personal] as const]
  })
  return {
    attributes: Object.fromEntries(found),
    recorded: Object.fromEntries(found.filter(([, , personal]) => !personal)),
  }
}

function readAttribute(name: string, row: PresetAttribute, claims: Claims): string | undefined {
  const paths = row.from ?? [[name]]
  const path = paths.find((candidate) => !isAbsent(valueAt(claims, candidate)))
  if (path === undefined) {
    if (row.always) throw rejected(`claim ${paths.map(describePath).join(' or ')} is absent, and the preset needs it`)
    return undefined
  }
  const text = readText(valueAt(claims, path), row.json ?? 'text')
  if (text === undefined) throw rejected(`claim ${describePath(path)} is not ${jsonNouns[row.json ?? 'text']}`)
  if (row.vouchedBy !== undefined && valueAt(claims, [row.vouchedBy]) !== true) return undefined
  return row.part === undefined ? text : row.part.exec(text)?.[1]
}

/** An empty text says as little as `null`: GitHub and Buildkite have them for what does not apply. */
function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

function valueAt(claims: Claims, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, name) => (isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
    claims,
  )
}

const jsonNouns = { text: 'a string', digits: 'a number', boolean: 'true or false' }

function readText(value: unknown, json: NonNullable<PresetAttribute['json']>): string | undefined {
  if (json === 'boolean') return typeof value === 'boolean' ? String(value) : undefined
  if (typeof value === 'string') return json === 'text' || /^\d+$/.test(value) ? value : undefined
  // Past that, a number in JSON has been rounded to another one.
  const isExact = json === 'digits' && Number.isSafeInteger(value) && Number(value) >= 0
  return isExact ? String(value) : undefined
}

function describePath(path: readonly string[]): string {
  return path.map((name) => quote(name)).join(' of ')
}

function rejected(reason: string): Refusal {
  return new Refusal('proof_rejected', reason)
}

/** Where the keys of an issuer may be fetched from. */
export function issuerPlace(config: Pick<OidcConfig, 'issuer' | 'jwks_uri' | 'ca_file' | 'private'>) {
  const { issuer, jwks_uri: jwksUri, ca_file: caFile } = config
  return {
    hosts: [issuer, jwksUri].flatMap((url) => (url === undefined ? [] : new URL(url).hostname)),
    private: config.private,
    ...(caFile === undefined ? {} : { caFile }),
  }
}

/** @throws {Refusal} `proof_rejected` for a certificate */
export function requireBearer(proof: Proof): string {
  if (proof.kind === 'bearer') return proof.token
  throw new Refusal('proof_rejected', 'the proof is a certificate, not a token')
}

/** Never after the token's own expiry, for which a proof that is shown again has no leeway. */
export function reusableUntil(expiresAt: Date, now: Date): Date {
  return new Date(Math.min(expiresAt.getTime(), now.getTime() + reusableMs))
}
