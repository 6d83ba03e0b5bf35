/**
 * The links of a chain that are the issuer's: its host, its discovery document, its keys.
 *
 * @module
 */
import { UpstreamError } from '../adapters/http-client.ts'
import type { IssuerView } from '../adapters/issuer-view.node.ts'
import { isPublicAddress } from '../adapters/public-address.ts'
import { type Finding, findError, findWarning } from '../core/finding.ts'
import { checkDiscovery, checkKeys, type IssuerAnswer, type Signer } from '../core/issuer-check.ts'
import { type Check, concludeCheck, type DoctorDeps, skipCheck } from './doctor.node.ts'

export interface IssuerInput {
  readonly issuer: string
  /** Whether other authorities than the public ones are trusted: then no cloud out there is meant. */
  readonly isPrivate: boolean
  /** Of the cloud, about the issuer's name. */
  readonly known: readonly Finding[]
  /** Asked for when the keys are looked at. */
  readonly signer: () => Promise<Signer | undefined>
}

export interface IssuerLinks {
  /** `issuer`, `discovery`, `keys`. */
  readonly checks: readonly Check[]
  /** As the discovery document lists them. */
  readonly algorithms: readonly string[]
  /** Its clock less ours, in seconds; absent where it did not say. */
  readonly skewSeconds?: number
}

type Deps = Pick<DoctorDeps, 'view' | 'now' | 'monotonicMs'>

export async function checkIssuerLinks(deps: Deps, input: IssuerInput): Promise<IssuerLinks> {
  const { issuer } = input
  const host = await resolveHost(deps.view, input)
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const read = host.addresses.length === 0 ? undefined : await readDocument(deps, url)
  const findings = [...input.known, ...host.findings, ...(read?.failure ? [read.failure] : [])]
  const reached = concludeCheck('issuer', seenHost(issuer, host.addresses, input), findings)
  if (read?.answer === undefined) {
    const why = 'the issuer did not answer'
    return { checks: [reached, skipCheck('discovery', why), skipCheck('keys', why)], algorithms: [] }
  }
  const discovery = checkDiscovery(read.answer, issuer)
  const seen = `${url}: ${read.answer.status}, ${Math.round(read.answer.durationMs)} ms`
  return {
    checks: [
      reached,
      concludeCheck('discovery', seen, discovery.findings),
      await checkKeysLink(deps, input, discovery),
    ],
    algorithms: discovery.algorithms,
    ...(read.skewSeconds !== undefined && { skewSeconds: read.skewSeconds }),
  }
}

interface ResolvedHost {
  readonly addresses: readonly string[]
  readonly findings: readonly Finding[]
}

async function resolveHost(view: IssuerView, { issuer, isPrivate }: IssuerInput): Promise<ResolvedHost> {
  const host = new URL(issuer).hostname.replace(/^\[(.*)\]$/, '$1')
  const addresses = await resolveAddresses(view, host)
  if (typeof addresses === 'string') {
    const message = `${host} has no address (${addresses})`
    return { addresses: [], findings: [findError('issuer_unresolved', message, 'give the name an address in the DNS')] }
  }
  const unreachable = addresses.filter((address) => !isPublicAddress(address))
  if (unreachable.length === 0) return { addresses, findings: [] }
  const message = `no cloud can reach ${unreachable.join(', ')}, which is ${host} as seen from here`
  const remedy =
    'give the name a public address; where the internet sees another one than this network, run this from outside'
  const find = isPrivate ? findWarning : findError
  return { addresses, findings: [find('issuer_private', message, remedy)] }
}

/** A text says why there are none. */
async function resolveAddresses({ resolve }: IssuerView, host: string): Promise<readonly string[] | string> {
  try {
    const addresses = await resolve(host)
    return addresses.length > 0 ? addresses : 'ENODATA'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}

function seenHost(issuer: string, addresses: readonly string[], { isPrivate }: IssuerInput): string {
  const { host } = new URL(issuer)
  const roots = isPrivate ? 'authorities of --ca-file' : 'public authorities'
  return addresses.length === 0 ? host : `${host} at ${addresses.join(', ')}, TLS by ${roots}`
}

interface ReadDocument {
  readonly answer?: IssuerAnswer
  readonly failure?: Finding
  readonly skewSeconds?: number
}

async function readDocument({ view, now, monotonicMs }: Deps, url: string): Promise<ReadDocument> {
  const startedMs = monotonicMs()
  try {
    const { status, headers, text } = await view.client.request({ url, followable: true })
    const durationMs = monotonicMs() - startedMs
    const location = headers.get('location')
    const skewSeconds = readSkew(headers, now())
    const mediaType = (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
    return {
      answer: { url, status, mediaType, text, durationMs, ...(location !== null && { location }) },
      ...(skewSeconds !== undefined && { skewSeconds }),
    }
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    return { failure: explainUnread(error) }
  }
}

/** The clock of whoever answered less ours, in seconds (RFC 9110 §6.6.1). */
export function readSkew(headers: Headers, now: Date): number | undefined {
  const time = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(time) ? undefined : Math.round((time - now.getTime()) / 1000)
}

const publicCertificate =
  'give `listen.tls` a certificate of a public authority (that of `tls: self` is of none), or put a proxy that has one in front; in a set-up without the internet name its authorities with --ca-file'

function explainUnread({ code, message }: UpstreamError): Finding {
  if (code === 'tls') return findError('issuer_tls', message, publicCertificate)
  if (code === 'timeout')
    return findError('issuer_slow', message, 'clouds wait 5 seconds: look at what stands between them and the gateway')
  if (code === 'too_large' || code === 'malformed')
    return findError('issuer_malformed', message, 'look at what answers in the place of the gateway')
  return findError('issuer_unreachable', message, 'start the gateway, and let the internet reach its port 443')
}

async function checkKeysLink(
  deps: Deps,
  { signer }: IssuerInput,
  { jwksUri }: ReturnType<typeof checkDiscovery>,
): Promise<Check> {
  if (jwksUri === undefined) return skipCheck('keys', 'the discovery document does not say where they are')
  const [read, signing] = await Promise.all([readDocument(deps, jwksUri), signer()])
  const { answer, failure } = read
  if (answer === undefined) {
    const { code = 'issuer_unreachable', message = '', remedy = '' } = failure ?? {}
    return concludeCheck('keys', jwksUri, [findError(code.replace('issuer_', 'keys_'), message, remedy)])
  }
  const { findings, count } = checkKeys(answer, signing)
  const compared = signing === undefined ? 'not compared with what signs' : `${signing.kid} signs now`
  const seen = `${jwksUri}: ${count} ${count === 1 ? 'key' : 'keys'}, ${compared}, ${Math.round(answer.durationMs)} ms`
  return concludeCheck('keys', seen, findings)
}
