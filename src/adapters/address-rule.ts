/**
 * Which addresses an upstream may have.
 *
 * @module
 */
import { parseAddress } from '../core/address-range.ts'
import { UpstreamError, type UpstreamPlace } from './http-client.ts'
import { isPublicAddress } from './public-address.ts'

/** Whether `address` may be connected to. @param host As in the URL, IPv6 without brackets. */
export type AddressRule = (address: string, host: string) => boolean

/** Hosts of the configuration may have any address, others only public ones unless the place is `private`. */
export function createAddressRule(place: Pick<UpstreamPlace, 'hosts' | 'private'>): AddressRule {
  const named = new Set(place.hosts.map((host) => host.toLowerCase().replace(/^\[(.*)\]$/, '$1')))
  return (address, host) => place.private === true || named.has(host.toLowerCase()) || isPublicAddress(address)
}

/** An address in the URL is connected to without any look-up. @throws {UpstreamError} `address` */
export function refuseLiteral(hostname: string, allowAddress: AddressRule): void {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (parseAddress(host) !== undefined && !allowAddress(host, host)) throw addressRefused(host)
}

export function addressRefused(host: string): UpstreamError {
  return new UpstreamError(
    'address',
    `${host} has no address that may be connected to (\`private: true\` admits those of our network)`,
  )
}
