/**
 * A target of the configuration on disk with those who act there, as its set-up at the cloud names them.
 *
 * @module
 */
import { cloudTrusts, findUnreachableIssuer } from '../adapters/trust/index.ts'
import { formatScript } from '../adapters/trust/shell.ts'
import type { TrustFacts } from '../adapters/trust/trust.ts'
import { readUploadedKeys, type UploadedKeys } from '../adapters/trust/uploaded-keys.ts'
import { type Configuration, ConfigurationError } from '../core/config.ts'
import type { TargetType } from '../core/config-targets.ts'
import type { Finding } from '../core/finding.ts'
import { algorithmFor } from '../core/obtain-credential.ts'
import { permittedIdentities } from '../core/permitted-identities.ts'
import { findSimilarName } from '../core/similar-name.ts'
import { isReservedPath } from '../core/spiffe-path.ts'
import { isSyncId } from '../core/sync.ts'
import type { Target } from '../core/target.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { buildSpiffeId, parseSpiffeId, type SpiffeId } from '../protocol/spiffe-id.ts'
import { loadConfiguration } from './configuration.node.ts'
import { DocumentError } from './document-error.ts'

/** What was asked for does not fit the configuration. */
export class TargetSetupError extends Error {
  override readonly name = 'TargetSetupError'
  readonly code:
    | 'target_unknown'
    | 'target_type'
    | 'subject_unknown'
    | 'subject_malformed'
    | 'subject_fixed'
    | 'keys_unusable'
  /** What to do next. */
  readonly hint: string

  constructor(code: TargetSetupError['code'], message: string, hint: string) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

/** The document can not be read, or holds mistakes. */
export class ConfigurationUnusable extends Error {
  override readonly name = 'ConfigurationUnusable'

  /** Whether there is no file at that path. */
  get missing(): boolean {
    return this.cause instanceof DocumentError && this.cause.missing
  }

  /** Whether it was read, and refused. */
  get invalid(): boolean {
    return this.cause instanceof ConfigurationError
  }
}

export interface TrustRequest {
  readonly configFile: string
  readonly type: TargetType
  /** Name of the target. */
  readonly target: string
  /** Paths or SPIFFE IDs, for a target that acts as its caller; empty: those that the policies name. */
  readonly as: readonly string[]
  readonly managedIdentity: boolean
  /** The issuer's key set, JSON: to be uploaded, as the cloud can not fetch it. Google alone takes it. */
  readonly keySet?: string
}

export interface TrustReport {
  readonly target: string
  readonly type: TargetType
  readonly issuer: string
  readonly audience: string
  /** SPIFFE IDs. */
  readonly subjects: readonly string[]
  /** As the cloud's API takes them. */
  readonly documents: Readonly<Record<string, unknown>>
  /** For a shell. */
  readonly script: string
  readonly terraform: string
  readonly warnings: readonly Finding[]
}

/** @throws {ConfigurationUnusable} @throws {TargetSetupError} */
export async function describeTrust({ configFile, type, ...request }: TrustRequest): Promise<TrustReport> {
  const config = await loadSetup(configFile)
  const target = findTarget(config, request.target)
  if (target.type !== type)
    throw new TargetSetupError(
      'target_type',
      `${target.name} is a target of type ${target.type}`,
      `Use: \`apostille trust ${target.type} ${target.name}\``,
    )
  const uploaded = request.keySet === undefined ? {} : { uploadedKeys: readKeys(request.keySet) }
  const facts = { ...gatherFacts(config, target, actingSubjects(config, target, request.as)), ...uploaded }
  const { issuer, subjects } = facts
  const cloud = cloudTrusts[type]
  const built = cloud.build({ issuer, target, subjects, managedIdentity: request.managedIdentity, ...uploaded })
  const heading = [
    `Trust of ${cloud.vendor} for target ${target.name} of ${issuer}`,
    ...subjects.map(({ uri }) => `acts as ${uri}`),
    `audience ${target.audience}`,
  ]
  return {
    target: target.name,
    type,
    issuer,
    audience: target.audience,
    subjects: subjects.map(({ uri }) => uri),
    documents: built.documents,
    script: formatScript(heading, built.steps),
    terraform: built.terraform,
    warnings: [
      ...('uploadedKeys' in uploaded ? [] : findUnreachableIssuer(issuer)),
      ...cloud.findProblems(facts),
      ...cloud.findSharing(facts),
    ],
  }
}

/** @throws {TargetSetupError} `keys_unusable` */
function readKeys(keySet: string): UploadedKeys {
  try {
    return readUploadedKeys(keySet)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    const message = `what is to be uploaded is no key set of an issuer: ${error.detail || error.code}`
    throw new TargetSetupError('keys_unusable', message, 'Give what the issuer serves at /keys.')
  }
}

/** @throws {ConfigurationUnusable} */
export async function loadSetup(configFile: string): Promise<Configuration> {
  try {
    return await loadConfiguration(configFile)
  } catch (cause) {
    if (cause instanceof DocumentError) throw new ConfigurationUnusable(cause.message, { cause })
    if (cause instanceof ConfigurationError)
      throw new ConfigurationUnusable(`${configFile}: ${cause.message}`, { cause })
    throw cause
  }
}

/** @throws {TargetSetupError} `target_unknown` */
export function findTarget({ targets }: Configuration, name: string): Target {
  const target = targets.get(name)
  if (target !== undefined) return target
  const known = [...targets.keys()]
  const similar = findSimilarName(name, known)
  const meant = similar === undefined ? '' : `Did you mean ${similar}? `
  const hint = known.length === 0 ? 'It has no targets: add one.' : `${meant}There are: ${known.join(', ')}.`
  throw new TargetSetupError('target_unknown', `the configuration has no target of that name`, hint)
}

export function gatherFacts(config: Configuration, target: Target, subjects: readonly SpiffeId[]): TrustFacts {
  const targets = [...config.targets.values()]
  return { issuer: config.issuer, target, subjects, targets, algorithm: algorithmFor(config, target) }
}

/** `sub` of the tokens, as far as it is known. @throws {TargetSetupError} `subject_…` */
function actingSubjects(config: Configuration, target: Target, as: readonly string[]): readonly SpiffeId[] {
  if (target.actsAs) {
    if (as.length > 0)
      throw new TargetSetupError(
        'subject_fixed',
        `${target.name} acts as ${target.actsAs.uri}, whoever its caller is`,
        'Leave --as out.',
      )
    return [target.actsAs]
  }
  if (as.length > 0) return [...new Map(as.map((text) => readSubject(config, text)).map((id) => [id.uri, id])).values()]
  return namedSubjects(config, target)
}

/** @throws {TargetSetupError} `subject_malformed` */
export function readSubject(
  { trustDomain, syncs }: Pick<Configuration, 'trustDomain' | 'syncs'>,
  text: string,
): SpiffeId {
  const spiffeId = parse(text, () => (text.startsWith('/') ? buildSpiffeId(trustDomain, text) : parseSpiffeId(text)))
  if (isSyncId(syncs, spiffeId)) return spiffeId
  if (spiffeId.trustDomain === trustDomain && spiffeId.path !== '' && !isReservedPath(spiffeId.path)) return spiffeId
  throw malformedSubject(`no workload and no sync of ${trustDomain} is called ${spiffeId.uri}`)
}

function parse(text: string, read: () => SpiffeId): SpiffeId {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw malformedSubject(`${JSON.stringify(text)} is no SPIFFE ID`)
  }
}

function malformedSubject(message: string): TargetSetupError {
  return new TargetSetupError(
    'subject_malformed',
    message,
    'Expected a path such as /ns/payments, or a SPIFFE ID of our own trust domain.',
  )
}

function namedSubjects(config: Configuration, target: Target): readonly SpiffeId[] {
  const { named, open } = permittedIdentities(config, target)
  if (open.length === 0 && named.length > 0) return named
  const why =
    open.length === 0
      ? 'no sync goes there, and no policy permits anybody to exchange there'
      : `the policies leave open who that is (${open.join(', ')})`
  throw new TargetSetupError(
    'subject_unknown',
    `${target.name} acts as its caller, and ${why}`,
    'Name each SPIFFE ID with --as ID, or let the target act as one (acts_as).',
  )
}
