/**
 * The chain from the configuration to a cloud's credential, link by link.
 *
 * @module
 */
import { UpstreamError } from '../adapters/http-client.ts'
import { cloudTrusts } from '../adapters/trust/index.ts'
import type { TrustFacts } from '../adapters/trust/trust.ts'
import type { Configuration } from '../core/config.ts'
import { type Finding, findError, findWarning } from '../core/finding.ts'
import { checkAlgorithm } from '../core/issuer-check.ts'
import { permittedIdentities } from '../core/permitted-identities.ts'
import type { Target } from '../core/target.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { buildSpiffeId, parseSpiffeId, type SpiffeId } from '../protocol/spiffe-id.ts'
import {
  type Check,
  concludeCheck,
  concludeDiagnosis,
  type Diagnosis,
  type DoctorDeps,
  skipCheck,
} from './doctor.node.ts'
import { checkExchange, createGatewayView, type GatewayView } from './exchange-link.node.ts'
import { checkIssuerLinks, readSkew } from './issuer-link.node.ts'
import {
  ConfigurationUnusable,
  findTarget,
  gatherFacts,
  loadSetup,
  readSubject,
  TargetSetupError,
} from './target-setup.node.ts'

export interface ChainRequest {
  readonly configFile: string
  /** Name of the target. */
  readonly target: string
  /** Whose exchange to try: a path or SPIFFE ID. Default: whom the target acts as, or the first that policies name. */
  readonly as?: string
  /** Whether other authorities than the public ones are trusted. */
  readonly isPrivate: boolean
}

/** Every link, in order: a link that cannot be looked at is skipped. */
const links = ['configuration', 'issuer', 'discovery', 'keys', 'algorithm', 'identity', 'clock', 'exchange'] as const

export async function diagnoseTarget(request: ChainRequest, deps: DoctorDeps): Promise<Diagnosis> {
  const gateway = createGatewayView(deps)
  const { check, setup } = await checkSetup(request, gateway)
  if (setup === undefined)
    return concludeDiagnosis([check, ...links.slice(1).map((name) => skipCheck(name, 'the target is not known'))])
  const { facts } = setup
  const known = cloudTrusts[facts.target.type].findProblems(facts)
  const about = (start: string) => known.filter(({ code }) => code.startsWith(start))
  const issuer = await checkIssuerLinks(deps, {
    issuer: facts.issuer,
    isPrivate: request.isPrivate,
    known: about('issuer_'),
    signer: () => gateway.readSigner(facts.algorithm),
  })
  const ofIdentity = known.filter(({ code }) => !/^(?:issuer|algorithm)_/.test(code))
  return concludeDiagnosis([
    check,
    ...issuer.checks,
    concludeCheck('algorithm', facts.algorithm, [
      ...about('algorithm_'),
      ...checkAlgorithm(issuer.algorithms, facts.algorithm),
    ]),
    checkIdentity(facts, ofIdentity),
    await checkClock(deps, facts.target, issuer.skewSeconds),
    await checkExchange(gateway, facts.target, setup.caller),
  ])
}

interface ChainSetup {
  readonly facts: TrustFacts
  /** Whose exchange is tried; absent: whom the target acts as. */
  readonly caller?: SpiffeId
}

async function checkSetup(
  request: ChainRequest,
  gateway: GatewayView,
): Promise<{ readonly check: Check; readonly setup?: ChainSetup }> {
  try {
    const config = await loadSetup(request.configFile)
    const target = findTarget(config, request.target)
    const caller = readCaller(config, target, request.as)
    const setup = chooseSubjects(config, target, caller)
    const findings = [...findUnpermitted(config, target, caller), ...(await findOtherDocument(config, gateway))]
    const who = setup.facts.subjects.map(({ uri }) => uri).join(', ') || 'its caller'
    return {
      check: concludeCheck('configuration', `target ${target.name} of type ${target.type} acts as ${who}`, findings),
      setup,
    }
  } catch (error) {
    return { check: concludeCheck('configuration', request.configFile, [explainSetup(error)]) }
  }
}

function explainSetup(error: unknown): Finding {
  if (error instanceof TargetSetupError) return findError(error.code, error.message, error.hint)
  if (!(error instanceof ConfigurationUnusable)) throw error
  return error.invalid
    ? findError('configuration_invalid', error.message, 'see them with `apostille check`')
    : findError('configuration_unread', error.message, 'name it with --config FILE')
}

/** Of any trust domain where the target says whom it acts as. */
function readCaller(config: Configuration, target: Target, as: string | undefined): SpiffeId | undefined {
  if (as === undefined) return undefined
  if (target.actsAs === undefined) return readSubject(config, as)
  try {
    return as.startsWith('/') ? buildSpiffeId(config.trustDomain, as) : parseSpiffeId(as)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new TargetSetupError('subject_malformed', `${JSON.stringify(as)} is no SPIFFE ID`, 'Expected --as ID.')
  }
}

function chooseSubjects(config: Configuration, target: Target, caller: SpiffeId | undefined): ChainSetup {
  if (target.actsAs) return { facts: gatherFacts(config, target, [target.actsAs]), ...(caller && { caller }) }
  const subjects = caller ? [caller] : permittedIdentities(config, target).named
  const [first] = subjects
  return { facts: gatherFacts(config, target, subjects), ...(first && { caller: first }) }
}

function findUnpermitted(config: Configuration, target: Target, caller: SpiffeId | undefined): readonly Finding[] {
  const { named, open, forbiddenBy } = permittedIdentities(config, target)
  if (forbiddenBy !== undefined)
    return [findError('forbidden', `policy ${forbiddenBy} forbids it to everybody`, 'give that policy a condition')]
  if (named.length + open.length === 0)
    return [
      findError(
        'nobody_permitted',
        'no policy permits anybody to exchange there, and no sync goes there',
        `add a policy: {permit: exchange, to: ${target.name}, when: …}`,
      ),
    ]
  if (caller === undefined || open.length > 0 || named.some(({ uri }) => uri === caller.uri)) return []
  const remedy = `permit it, or try another: ${named.map(({ uri }) => uri).join(', ')}`
  return [findError('not_permitted', `no policy permits it to ${caller.uri}`, remedy)]
}

async function findOtherDocument({ digest }: Configuration, gateway: GatewayView): Promise<readonly Finding[]> {
  const used = await gateway.readDigest()
  if (used === undefined || used === digest) return []
  return [
    findWarning('configuration_not_in_use', 'the running gateway goes by another document', 'run `apostille reload`'),
  ]
}

function checkIdentity({ target, subjects }: TrustFacts, findings: readonly Finding[]): Check {
  const who = subjects.map(({ uri }) => uri).join(', ')
  const seen = `audience ${target.audience}${who === '' ? '' : `, subject ${who}`}`
  if (who !== '') return concludeCheck('identity', seen, findings)
  const message = 'the target acts as its caller, and the policies leave open who that is'
  const unknown = findWarning('subject_unknown', message, 'name one with --as ID')
  return concludeCheck('identity', seen, [unknown, ...findings])
}

const maxSkewSeconds = 60

/** The issuer's clock is in the tokens, and the cloud's judges them; ours is what both are read by. */
async function checkClock(deps: DoctorDeps, target: Target, ofIssuer: number | undefined): Promise<Check> {
  const ofCloud = await readCloudSkew(deps, target)
  if (ofIssuer === undefined && ofCloud === undefined)
    return skipCheck('clock', 'neither the issuer nor the cloud answered')
  const shown = (name: string, seconds: number | undefined) =>
    seconds === undefined ? `${name} unknown` : `${name} ${seconds >= 0 ? '+' : ''}${seconds} s`
  const seen = `against ours: ${shown('issuer', ofIssuer)}, ${shown('cloud', ofCloud)}`
  return concludeCheck('clock', seen, findSkew(ofIssuer, ofCloud))
}

function findSkew(ofIssuer: number | undefined, ofCloud: number | undefined): readonly Finding[] {
  const remedy = "let the host's clock follow a time server"
  if (ofIssuer !== undefined && ofCloud !== undefined) {
    const apart = ofIssuer - ofCloud
    const message = `the issuer's clock is ${Math.abs(apart)} s ${apart < 0 ? 'behind' : 'ahead of'} the cloud's`
    if (Math.abs(apart) > maxSkewSeconds) return [findError('clock_skew', message, remedy)]
  }
  const seconds = ofIssuer ?? ofCloud ?? 0
  if (Math.abs(seconds) <= maxSkewSeconds) return []
  const whose = ofIssuer === undefined ? "the cloud's" : "the issuer's"
  const message = `${whose} clock is ${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} the one here`
  // Where both are known they agree, so that it is this machine's.
  return [
    ofIssuer !== undefined && ofCloud !== undefined
      ? findWarning('clock_here', message, remedy)
      : findError('clock_skew', message, remedy),
  ]
}

async function readCloudSkew({ connect, now }: DoctorDeps, target: Target): Promise<number | undefined> {
  const url = await cloudTrusts[target.type].clockUrl(target)
  const { ca_file: caFile } = target.document
  const client = connect({ hosts: [new URL(url).hostname], ...(caFile !== undefined && { caFile }) })
  try {
    const { headers } = await client.request({ url, followable: true })
    return readSkew(headers, now())
  } catch (error) {
    if (error instanceof UpstreamError) return undefined
    throw error
  } finally {
    await client.close()
  }
}
