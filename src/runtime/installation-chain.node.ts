/**
 * Looks at an installation as a whole: the process, its files, its keys, and the world around it.
 *
 * @module
 */
import type { Configuration } from '../core/config.ts'
import { type Finding, findError, findWarning } from '../core/finding.ts'
import { checkAuthenticators, checkClocks } from './authenticator-link.node.ts'
import { checkCertificate } from './certificate-link.node.ts'
import { checkText } from './check.node.ts'
import { readDocument } from './configuration.node.ts'
import {
  type Check,
  concludeCheck,
  concludeDiagnosis,
  type Diagnosis,
  type DoctorDeps,
  skipCheck,
} from './doctor.node.ts'
import { createGatewayView, explainNoGateway, type GatewayView } from './exchange-link.node.ts'
import { checkDisk, checkFiles } from './files-link.node.ts'
import { checkIssuerLinks } from './issuer-link.node.ts'
import { checkSealKey } from './seal-key-link.node.ts'
import { ConfigurationUnusable, loadSetup } from './target-setup.node.ts'

export interface InstallationRequest {
  readonly configFile: string
  /** Whether other authorities than the public ones are trusted. */
  readonly isPrivate: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Such as `24.15.0`. */
  readonly nodeVersion: string
}

/** What needs a configuration that can be read. */
const furtherLinks = [
  'gateway',
  'files',
  'seal key',
  'disk',
  'authenticators',
  'clock',
  'certificate',
  'issuer',
  'discovery',
  'keys',
] as const

export async function diagnoseInstallation(request: InstallationRequest, deps: DoctorDeps): Promise<Diagnosis> {
  const gateway = createGatewayView(deps)
  const node = checkNode(request.nodeVersion)
  const { check, config } = await checkConfigurationLink(request, gateway)
  if (config === undefined)
    return concludeDiagnosis([
      node,
      check,
      ...furtherLinks.map((name) => skipCheck(name, 'the configuration is not known')),
    ])
  const status = await gateway.readStatus()
  const authenticators = await checkAuthenticators(config, deps)
  const issuer = await checkIssuerLinks(deps, {
    issuer: config.issuer,
    isPrivate: request.isPrivate,
    known: [],
    signer: () => gateway.readSigner(config.authorities.jwt.algorithms[0] ?? 'ES256'),
  })
  const ofIssuer = issuer.skewSeconds === undefined ? [] : [{ name: 'issuer', seconds: issuer.skewSeconds }]
  return concludeDiagnosis([
    node,
    check,
    checkGateway(status),
    await checkFiles(request.configFile, config),
    await checkSealKey(config, request.env, 'status' in status ? status.status['seal_key'] : undefined),
    await checkDisk(config),
    authenticators.check,
    checkClocks([...authenticators.skews, ...ofIssuer]),
    await checkCertificate(config, deps.now()),
    ...issuer.checks.map((link) => asNeeded(link, config)),
  ])
}

/** Without a target nobody out there is known to read the issuer's documents. */
function asNeeded(check: Check, { targets }: Configuration): Check {
  if (targets.size > 0) return check
  const findings = check.findings.map((finding): Finding => ({ ...finding, severity: 'warning' }))
  return check.verdict === 'skip' ? check : concludeCheck(check.name, check.seen, findings)
}

const oldest = [24, 15] as const
const tested: readonly number[] = [24, 26]

function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isOld = major < oldest[0] || (major === oldest[0] && minor < oldest[1])
  const remedy = `run it with Node ${tested.join(' or ')}`
  if (isOld) return concludeCheck('node', version, [findError('node_old', `Node ${version} is too old`, remedy)])
  const untested = findWarning('node_untested', `Node ${major} is not one that this is tested with`, remedy)
  return concludeCheck('node', version, tested.includes(major) ? [] : [untested])
}

async function checkConfigurationLink(
  { configFile }: InstallationRequest,
  gateway: GatewayView,
): Promise<{ readonly check: Check; readonly config?: Configuration }> {
  try {
    const config = await loadSetup(configFile)
    const { diagnostics } = await checkText(await readDocument(configFile), configFile)
    const warnings = diagnostics.map(({ line, path, message }) =>
      findWarning('configuration_warning', `line ${line}: ${path}: ${message}`, 'see it with `apostille check`'),
    )
    const used = await gateway.readDigest()
    const other =
      used === undefined || used === config.digest
        ? []
        : [
            findWarning(
              'configuration_not_in_use',
              'the running gateway goes by another document',
              'run `apostille reload`',
            ),
          ]
    const seen = `${configFile}: trust domain ${config.trustDomain}, issuer ${config.issuer}`
    return { check: concludeCheck('configuration', seen, [...warnings, ...other]), config }
  } catch (error) {
    if (!(error instanceof ConfigurationUnusable)) throw error
    const finding = error.invalid
      ? findError('configuration_invalid', error.message, 'see them with `apostille check`')
      : findError(
          'configuration_unread',
          error.message,
          'name it with --config FILE, or make one with `apostille init`',
        )
    return { check: concludeCheck('configuration', configFile, [finding]) }
  }
}

interface PeerDocument {
  readonly trust_domain: string
  readonly failures: number
  readonly problem?: string
}

function checkGateway(answer: Awaited<ReturnType<GatewayView['readStatus']>>): Check {
  if (!('status' in answer)) return concludeCheck('gateway', 'does not answer', [explainNoGateway(answer)])
  const { ready, problem, configuration, seal_rotation: rotation } = answer.status
  const peers = (answer.status['federation'] ?? []) as readonly PeerDocument[]
  const findings = [
    ...(ready === true
      ? []
      : [findError('gateway_not_ready', `it can not issue: ${String(problem)}`, 'look at its log')]),
    ...(configuration === 'refused'
      ? [
          findError(
            'configuration_refused',
            'it refused the document on disk, and goes by the one before',
            'see why with `apostille check`',
          ),
        ]
      : []),
    ...(rotation === 'unfinished'
      ? [
          findWarning(
            'seal_rotation',
            'a rotation of the seal key is unfinished',
            'go on with it: `apostille seal rotate`',
          ),
        ]
      : []),
    ...peers.flatMap((peer) => explainPeer(peer)),
  ]
  return concludeCheck('gateway', ready === true ? 'runs, and can issue' : 'runs', findings)
}

function explainPeer({ trust_domain: name, failures, problem }: PeerDocument): readonly Finding[] {
  if (failures === 0 || problem === undefined) return []
  const message = `the bundle of ${name} could not be had ${failures} times in a row: ${problem}`
  return [findWarning('federation_failing', message, `ask again: \`apostille federation refresh ${name}\``)]
}
