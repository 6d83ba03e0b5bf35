import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { startServer } from '../../src/runtime/server.node.ts'
import { oldDocument, oldSealKey } from './old-store.ts'
import { send } from './wire.ts'

type Json = Readonly<Record<string, unknown>>

interface Authority {
  readonly id: string
}

/** Starts a gateway on a store that holds what `old-store.ts` puts into one, and stops it again. */
export async function expectOldStoreGoesOn(folder: string, store: string, sql: string): Promise<void> {
  const authorityIds = [...sql.matchAll(/"keyName".*?"id":"([^"]+)"/g)].map(([, id]) => id)
  expect(authorityIds).toHaveLength(4)
  const configFile = join(folder, 'apostille.yaml')
  writeFileSync(configFile, JSON.stringify({ ...oldDocument, store }))
  const settings = {
    configFile,
    logLevel: 'info',
    logFormat: 'json',
    purpose: 'serve',
    env: { SEAL: oldSealKey },
  } as const
  const metrics = async () => ({ contentType: 'text/plain', body: '' })
  const server = await startServer(settings, { telemetry: silentTelemetry, metrics })
  try {
    const { admin, main } = server.addresses
    const ask = async (path: string, method = 'GET', body?: Json) =>
      (await send({ address: admin }, path, { method, ...(body && { body: JSON.stringify(body) }) })).json()

    const published = (await send({ address: main }, '/keys')).json().keys as readonly { readonly kid: string }[]
    const authorities = (await ask('/v1/authorities')).items as readonly Authority[]
    expect(authorities.map(({ id }) => id)).toEqual(expect.arrayContaining(authorityIds))
    const kids = authorityIds.filter((id) => id?.length === 43)
    expect(published.map(({ kid }) => kid)).toEqual(expect.arrayContaining(kids))

    const old = { authenticator: 'first', name: 'web', uses: 2, uses_left: 1 }
    expect((await ask('/v1/join-tokens')).items).toContainEqual(expect.objectContaining(old))
    expect((await ask('/v1/kv/data/team/db')).data).toMatchObject({ data: { password: 'kept' } })

    const records = (await ask('/v1/records?limit=1000')).items as readonly Json[]
    const operations = records.map(({ operation }) => operation)
    expect(operations.slice(0, 3)).toEqual(['join_token.create', 'jwt_svid', 'kv.write'])
    const verified = await ask('/v1/records/verify', 'POST')
    expect(verified.ok).toBe(true)
    await ask('/v1/join-tokens', 'POST', { authenticator: 'first' })
    expect((await ask('/v1/records/verify', 'POST')).ok).toBe(true)
  } finally {
    await server.close()
  }
}
