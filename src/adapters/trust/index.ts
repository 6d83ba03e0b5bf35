/**
 * The table of clouds, by what they have to be told before they trust us.
 *
 * @module
 */
import type { TargetType } from '../../core/config-targets.ts'
import { type Finding, findWarning } from '../../core/finding.ts'
import { isPublicAddress } from '../public-address.ts'
import { awsTrust } from './aws.ts'
import { azureTrust } from './azure.ts'
import { gcpTrust } from './gcp.ts'
import type { CloudTrust } from './trust.ts'

export const cloudTrusts: Readonly<Record<TargetType, CloudTrust>> = {
  aws: awsTrust,
  azure: azureTrust,
  gcp: gcpTrust,
}

/** Names that the public DNS does not have (RFC 6761, RFC 6762, RFC 8375, and `.internal` of ICANN). */
const privateName = /^[^.]+$|\.(?:internal|local|localhost|test|invalid|example|home\.arpa|lan)$/

/** What the issuer's name alone says of whether a cloud can reach it. */
export function findUnreachableIssuer(issuer: string): readonly Finding[] {
  const host = new URL(issuer).hostname.replace(/^\[(.*)\]$/, '$1')
  const isAddress = /^[\d.]+$|:/.test(host)
  if (isAddress ? isPublicAddress(host) : !privateName.test(host)) return []
  return [
    findWarning(
      'issuer_not_public',
      `clouds read the issuer's documents over the internet, and ${host} is not there`,
      'give the issuer a name and an address that the internet knows',
    ),
  ]
}
