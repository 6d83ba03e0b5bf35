/**
 * Which IP addresses are on the public Internet, so that a name that somebody else chose cannot lead into our network.
 *
 * @see {@link https://www.iana.org/assignments/iana-ipv4-special-registry IANA IPv4 special-purpose addresses}
 * @see {@link https://www.iana.org/assignments/iana-ipv6-special-registry IANA IPv6 special-purpose addresses}
 * @module
 */

/** First address and prefix length of everything in IPv4 that is not globally reachable unicast. */
const special4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

const dottedPattern = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

/** @param address IPv4 in four decimal numbers, or IPv6 in any spelling; everything else is not public. */
export function isPublicAddress(address: string): boolean {
  if (dottedPattern.test(address)) return isPublic4(toNumber(address))
  const groups = readGroups(address)
  return groups !== undefined && isPublic6(groups)
}

function isPublic4(address: number): boolean {
  return !special4.some(([first, bits]) => address >>> (32 - bits) === toNumber(first) >>> (32 - bits))
}

function isPublic6(groups: readonly number[]): boolean {
  const [first = 0, second = 0] = groups
  if (embedsIpv4(groups)) return isPublic4((((groups[6] ?? 0) << 16) | (groups[7] ?? 0)) >>> 0)
  if (first >>> 13 !== 1) return false // only 2000::/3 is global unicast
  if (first === 0x2001 && (second < 0x200 || second === 0xdb8)) return false // protocol assignments; documentation
  if (first === 0x3fff && second < 0x1000) return false // documentation, RFC 9637
  return first !== 0x2002 // 6to4, which holds any IPv4 address
}

/** IPv4-mapped `::ffff:0:0/96` and NAT64 `64:ff9b::/96`, behind both of which is the IPv4 address of the last 32 bits. */
function embedsIpv4(groups: readonly number[]): boolean {
  const head = groups.slice(0, 6).join(' ')
  return head === '0 0 0 0 0 65535' || head === `${0x64} ${0xff9b} 0 0 0 0`
}

/** The eight groups; the URL parser knows every spelling and gives the canonical one. */
function readGroups(address: string): readonly number[] | undefined {
  const host = /^[0-9A-Fa-f:.]+$/.test(address) ? URL.parse(`https://[${address}]`)?.hostname : undefined
  if (host === undefined) return undefined
  const [head = '', tail = ''] = host.slice(1, -1).split('::')
  const before = hexGroups(head)
  const after = hexGroups(tail)
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function hexGroups(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

function toNumber(dotted: string): number {
  return dotted.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}
