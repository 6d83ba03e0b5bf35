/**
 * The certificate that a listener shows: an SVID of our own, renewed at half of its life, or files, read again when they
 * change.
 *
 * @module
 */
import { generateKeyPair, randomBytes, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { parseAddress } from '../core/address-range.ts'
import type { AuthoritySnapshot } from '../core/authority-snapshot.ts'
import { formatPem } from '../protocol/encoding.ts'
import { buildSpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import { buildX509Svid } from '../protocol/x509-svid.ts'

/** Certificate chain and key, PEM. */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
}

export interface TlsSource {
  readonly current: () => TlsMaterial
  /** Looks whether it is time for another; answers it when there is one. */
  readonly refresh: () => Promise<TlsMaterial | undefined>
}

export interface OwnSvidInput {
  readonly trustDomain: TrustDomain
  /** Host as in a URL, asked each time: a reload may change the issuer. */
  readonly host: () => string
  readonly authorities: () => AuthoritySnapshot
  readonly now: () => Date
}

const ownSvidTtlSeconds = 3600
const makeKeyPair = promisify(generateKeyPair)

/** `spiffe://<trust domain>/apostille/server`, which also names the issuer's host. */
export async function createOwnSvidSource(input: OwnSvidInput): Promise<TlsSource> {
  const spiffeId = buildSpiffeId(input.trustDomain, '/apostille/server')
  let held = await issue()

  async function issue() {
    const { privateKey, publicKey } = await makeKeyPair('ec', { namedCurve: 'P-256' })
    const snapshot = input.authorities()
    const active = snapshot.x509()
    const now = input.now()
    const host = input.host()
    const svid = await buildX509Svid(active.authority, {
      spiffeId,
      publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
      serialNumber: randomBytes(16),
      now,
      ttlSeconds: Math.min(ownSvidTtlSeconds, active.slotSeconds),
      ...namesOf(host),
    })
    const material: TlsMaterial = {
      cert: [svid.certificate, ...active.chain].map((der) => formatPem('CERTIFICATE', der)).join(''),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
    const renewAt = new Date((now.getTime() + svid.expiresAt.getTime()) / 2)
    return { material, renewAt, signedBy: active.id, host }
  }

  return {
    current: () => held.material,
    async refresh() {
      const isSame = input.authorities().x509().id === held.signedBy && input.host() === held.host
      if (isSame && input.now() < held.renewAt) return undefined
      held = await issue()
      return held.material
    },
  }
}

/** TLS clients look for an address among the addresses only (RFC 9110 §4.3.5). */
function namesOf(host: string): { readonly dnsNames: readonly string[]; readonly ipAddresses?: readonly Uint8Array[] } {
  const address = parseAddress(host.replace(/^\[(.*)\]$/, '$1'))
  return address ? { dnsNames: [], ipAddresses: [Uint8Array.from(address)] } : { dnsNames: [host] }
}

export async function createFileSource(files: {
  readonly certificate: string
  readonly key: string
}): Promise<TlsSource> {
  let stamp = await stampOf(files)
  let material = await read(files)
  return {
    current: () => material,
    async refresh() {
      const now = await stampOf(files)
      if (now === stamp) return undefined
      material = await read(files)
      stamp = now
      return material
    },
  }
}

/** The same source, which tells when what it shows expires. */
export function tellExpiry(source: TlsSource, tell: (expiresAt: Date) => void): TlsSource {
  const look = ({ cert }: TlsMaterial) => tell(new X509Certificate(cert).validToDate)
  look(source.current())
  return {
    current: source.current,
    async refresh() {
      const renewed = await source.refresh()
      if (renewed) look(renewed)
      return renewed
    },
  }
}

async function stampOf(files: { readonly certificate: string; readonly key: string }): Promise<string> {
  const stats = await Promise.all([files.certificate, files.key].map((path) => stat(path, { bigint: true })))
  return stats.map(({ ino, mtimeNs, size }) => `${ino} ${mtimeNs} ${size}`).join(' ')
}

async function read(files: { readonly certificate: string; readonly key: string }): Promise<TlsMaterial> {
  const [cert, key] = await Promise.all([readFile(files.certificate, 'utf8'), readFile(files.key, 'utf8')])
  return { cert, key }
}
