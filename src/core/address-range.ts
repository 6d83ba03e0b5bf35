/**
 * IP addresses and ranges of them, as `in_cidr` of expressions compares them.
 *
 * An IPv4 address that is mapped into IPv6 (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2) is the IPv4 address, as a listener on
 * `::` reports one for the other. Octets with leading zeros are refused: some readers take them as octal.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc4632#section-3.1 RFC 4632}
 * @module
 */

/** An address as its bytes: 4 for IPv4, 16 for IPv6. */
export type Address = readonly number[]

/** An address with zeros after the prefix, and the length of the prefix in bits. */
export interface AddressRange {
  readonly network: Address
  readonly prefixLength: number
}

const octetPattern = /^(?:0|[1-9]\d{0,2})$/
const groupPattern = /^[0-9a-f]{1,4}$/i
const prefixPattern = /^(?:0|[1-9]\d{0,2})$/
const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
const mappedBits = mappedPrefix.length * 8

/** The address, or `undefined` when the text is none. The zone of an IPv6 address (`fe80::1%eth0`) is passed over. */
export function parseAddress(text: string): Address | undefined {
  const zone = text.indexOf('%')
  if (zone < 0) return parseBareAddress(text)
  return text.includes(':') && zone < text.length - 1 ? parseBareAddress(text.slice(0, zone)) : undefined
}

/** The range that `10.0.0.0/8` or `2001:db8::/32` names, or a sentence that says what is wrong with the text. */
export function parseAddressRange(text: string): AddressRange | string {
  const slash = text.indexOf('/')
  if (slash < 0) return 'an address range is written with a prefix length, such as 10.0.0.0/8'
  const address = readAddress(text.slice(0, slash))
  const bits = text.slice(slash + 1)
  if (!address || !prefixPattern.test(bits) || Number(bits) > address.length * 8) return 'not an address range'
  const range = unmapRange(address, Number(bits))
  const beyond = range.network.some((byte, index) => (byte & ~maskByte(range.prefixLength, index)) !== 0)
  return beyond ? 'the address has bits set beyond the prefix length' : range
}

/** Whether the address lies in the range. One of IPv4 is in no range of IPv6. */
export function isInRange(address: Address, range: AddressRange): boolean {
  if (address.length !== range.network.length) return false
  return range.network.every((byte, index) => ((address[index] ?? 0) & maskByte(range.prefixLength, index)) === byte)
}

/** The bits of byte `index` that a prefix covers. */
function maskByte(prefixLength: number, index: number): number {
  const covered = Math.min(Math.max(prefixLength - index * 8, 0), 8)
  return (0xff << (8 - covered)) & 0xff
}

function parseBareAddress(text: string): Address | undefined {
  const address = readAddress(text)
  return address && isMapped(address) ? address.slice(mappedPrefix.length) : address
}

function unmapRange(network: Address, prefixLength: number): AddressRange {
  if (!isMapped(network) || prefixLength < mappedBits) return { network, prefixLength }
  return { network: network.slice(mappedPrefix.length), prefixLength: prefixLength - mappedBits }
}

function isMapped(address: Address): boolean {
  return address.length === 16 && mappedPrefix.every((byte, index) => address[index] === byte)
}

function readAddress(text: string): Address | undefined {
  return text.includes(':') ? readIpv6(text) : readIpv4(text)
}

function readIpv4(text: string): Address | undefined {
  const octets = text.split('.')
  if (octets.length !== 4 || !octets.every((octet) => octetPattern.test(octet) && Number(octet) < 256)) return undefined
  return octets.map(Number)
}

function readIpv6(text: string): Address | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const last = halves.length - 1
  const [head, tail] = halves.map((half, index) => readGroups(half, index === last))
  if (!head || (last === 1 && !tail)) return undefined
  if (!tail) return head.length === 16 ? head : undefined
  const missing = 16 - head.length - tail.length
  return missing >= 2 ? [...head, ...Array<number>(missing).fill(0), ...tail] : undefined
}

/** Groups of 16 bits between colons; the last two of an address may be written as IPv4 (RFC 4291 §2.2). */
function readGroups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return []
  const groups = text.split(':')
  const bytes: number[] = []
  for (const [index, group] of groups.entries()) {
    const ipv4 = endsAddress && index === groups.length - 1 && group.includes('.') ? readIpv4(group) : undefined
    if (ipv4) bytes.push(...ipv4)
    else if (groupPattern.test(group)) bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff)
    else return undefined
  }
  return bytes
}
