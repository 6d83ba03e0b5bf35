import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { readPeerChain } from '../../src/protocol/peer-chain.ts'

interface Shown {
  readonly raw: Buffer
  issuerCertificate?: Shown
}

/** What Node says of a peer that showed so many; the last one is its own issuer where it is a root. */
function socketOf(count: number, endsInRoot = false): Pick<TLSSocket, 'getPeerCertificate'> {
  const shown: Shown[] = Array.from({ length: count }, (_, at) => ({ raw: Buffer.of(at) }))
  shown.forEach((certificate, at) => {
    const issuer = shown[at + 1] ?? (endsInRoot ? certificate : undefined)
    if (issuer) certificate.issuerCertificate = issuer
  })
  const leaf = shown[0] ?? {}
  return { getPeerCertificate: () => leaf } as unknown as Pick<TLSSocket, 'getPeerCertificate'>
}

const bytes = (count: number) => Array.from({ length: count }, (_, at) => at)

test.each([
  ['nothing', 0, 0],
  ['a leaf', 1, 1],
  ['the longest chain that is taken', 8, 8],
  ['one that is longer: not cut to one that would be taken', 9, 9],
  ['one without end', 200, 9],
])('reads %s, leaf first', (_, count, read) => {
  for (const endsInRoot of [false, true])
    expect(readPeerChain(socketOf(count, endsInRoot)).map((der) => der[0])).toEqual(bytes(read))
})
