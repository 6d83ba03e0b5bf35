/**
 * Source: the KV v2 engine of a Vault or OpenBao server, entered with a JWT-SVID of ours.
 *
 * Versions are told one by one only, so that a listing has no revisions, and each run reads each secret.
 *
 * @module
 */
import type { JoinEqual } from '../../core/cloud.ts'
import type { VaultSourceDocument } from '../../core/config-sources.ts'
import { hasLossyNumber } from '../../core/secret-data.ts'
import { type OpenedSource, type SecretSource, SourceError, type SourceQuery } from '../../core/secret-source.ts'
import type { ConnectUpstream } from '../http-client.ts'
import { createVaultEngine, type VaultEngine } from './vault-engine.ts'
import { createVaultSession } from './vault-session.ts'
import type { VaultPlace } from './vault-wire.ts'

export interface VaultSourceDeps {
  readonly connect: ConnectUpstream
  readonly joinEqual: JoinEqual
  readonly now: () => Date
  readonly monotonicMs: () => number
}

export type OpenedVault = Omit<OpenedSource, 'document'> & { readonly document: VaultSourceDocument }

/** A sync reads several secrets at a time. */
const connections = 16
/** A folder of some hundred thousand names, which Vault lists at once. */
const maxBytes = 16 * 1024 * 1024

export function createVaultSource({ name, document, token }: OpenedVault, deps: VaultSourceDeps): SecretSource {
  const place = placeOf(document)
  const { address, ca_file: caFile, audience } = document
  const client = deps.connect({
    hosts: [new URL(address).hostname],
    connections,
    maxBytes,
    ...(caFile !== undefined && { caFile }),
  })
  const session = createVaultSession(place, {
    ...deps,
    request: client.request,
    signToken: () => token(audience),
    joinEqual: (key, run) => deps.joinEqual(`${name} ${key}`, run),
  })
  const engine = createVaultEngine(place, { session, now: deps.now })

  return {
    list: (query) => listSecrets(engine, query),
    async read(path, signal) {
      requirePath(path)
      const version = await engine.read(path, signal)
      if (version === undefined) return undefined
      const { number, revision, data } = version
      if (hasLossyNumber(data)) throw unreadable(path, 'a whole number above 2^53 is not kept as it is: make it text')
      return { path, revision, version: `${number}`, content: { kind: 'fields', fields: data } }
    },
    async close() {
      await session.close()
      await client.close()
    },
  }
}

function placeOf({ address, namespace, mount, auth_mount: authMount, role }: VaultSourceDocument): VaultPlace {
  return { address, namespace, mount: withoutSlashes(mount), authMount: withoutSlashes(authMount), role }
}

function withoutSlashes(text: string): string {
  return text.replace(/^\/+|\/+$/g, '')
}

/** Folder by folder, beginning with the one that the prefix leads to: the right to list any other need not be had. */
async function* listSecrets(engine: VaultEngine, { prefix, signal }: SourceQuery) {
  await engine.requireKv2(signal)
  const folders = [prefix.slice(0, prefix.lastIndexOf('/') + 1)]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    requirePath(folder)
    const keys = await engine.keysIn(folder, signal)
    const wanted = keys.map((key) => `${folder}${key}`).filter((path) => path.startsWith(prefix))
    folders.push(...wanted.filter((path) => path.endsWith('/')))
    yield wanted.filter((path) => !path.endsWith('/')).map((path) => ({ path }))
  }
}

/** Beyond all that Vault's stores take: folders within folders without end end here. */
const maxPathLength = 4096

/** A URL has no such segments: what they would lead to is something else. @throws {SourceError} `unreadable` */
function requirePath(path: string): void {
  if (path.length > maxPathLength)
    throw unreadable(`${path.slice(0, 64)}…`, `a path of more than ${maxPathLength} characters`)
  if (path.split('/').some((segment) => segment === '.' || segment === '..'))
    throw unreadable(path, 'a name out of dots leads elsewhere: call it something else')
}

function unreadable(path: string, why: string): SourceError {
  return new SourceError('unreadable', `${path}: ${why}`, { code: 'unreadable' })
}
