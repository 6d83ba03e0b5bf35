/**
 * Who a request comes from: the peer of the connection, or behind proxies that we trust what they say of it.
 *
 * @module
 */
import { type AddressRange, isInRange, parseAddress, parseAddressRange } from '../core/address-range.ts'

/** Proxies whose header counts, and which header, in any case. */
export interface TrustedProxies {
  readonly from: readonly string[]
  readonly header: string
}

/** `::ffff:192.0.2.1`, as dual-stack sockets name IPv4 peers, is `192.0.2.1`. */
export function canonicalAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address
}

/**
 * Reads the one header that counts from the right: the first address that is not one of our proxies is the caller.
 * What stands left of it was written by the caller, who may write anything.
 *
 * Behind a proxy the address is empty, for unknown, where the header is missing or a hop that counts is no address: in
 * the proxy's own, rules would see one of our networks.
 */
export function createAddressReader(proxies: TrustedProxies | undefined) {
  if (proxies === undefined) return (peer: string) => canonicalAddress(peer)
  const header = proxies.header.toLowerCase()
  const ranges = proxies.from.map(parseAddressRange).filter((range): range is AddressRange => typeof range !== 'string')
  const isProxy = (address: string) => {
    const parsed = parseAddress(address)
    return parsed !== undefined && ranges.some((range) => isInRange(parsed, range))
  }

  return (peer: string, headers: (lowerCaseName: string) => string | undefined): string => {
    let address = canonicalAddress(peer)
    const hops = (headers(header) ?? '').split(',')
    for (const hop of hops.reverse()) {
      if (!isProxy(address)) break
      address = readHop(hop.trim())
    }
    return address
  }
}

// Some proxies write the port as well; RFC 7239 §6 has IPv6 in brackets.
const hopPattern = /^(?:([\d.]+)|\[([^\]]+)\])(?::\d{1,5})?$/

/** Empty for what is no address. */
function readHop(hop: string): string {
  const [, ipv4, ipv6] = hopPattern.exec(hop) ?? []
  const address = ipv4 ?? (ipv6?.includes(':') ? ipv6 : undefined) ?? hop
  return parseAddress(address) === undefined ? '' : canonicalAddress(address)
}
