import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { ServiceAccount } from '../../examples/support/cluster-stand-in.ts'
import type { LoggedRequest } from '../support/clouds/cloud-server.ts'
import { readToken } from '../support/clouds/presented-token.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { type CloudWorld, idOf, openCloudWorld } from './support/clouds.ts'
import { run, runOk } from './support/command.ts'

const main = join(import.meta.dirname, '../../src/cli/main.ts')
const rings = ['jwt/ES256', 'jwt/RS256']

/** Entra has 20 federated credentials for an application at most. */
const apps = [0, 1, 2, 3].map((n) => ({
  clientId: `66666666-7777-8888-9999-00000000000${n}`,
  accounts: Array.from({ length: 20 }, (_, m) => ({ namespace: 'payments', name: `worker-${n}-${m}` })),
}))
const exchanges = apps.flatMap(({ accounts }, n) =>
  accounts.flatMap((account) =>
    ['payments-s3', n === 0 ? 'vault' : `vault${n}`, 'bucket'].map((target) => ({ account, target })),
  ),
)

const stack = cleanupAfterAll()
let world: CloudWorld

beforeAll(async () => {
  world = await openCloudWorld(stack, { apps })
})

const authority = (...args: readonly string[]) => [
  ...[main, 'authority', ...args, '--config', join(world.gateway.folder, 'apostille.yaml')],
]

interface Outcome {
  readonly target: string
  readonly account: ServiceAccount
  readonly status: number
}

/** Eight at a time. */
async function exchangeAll(wanted: readonly (typeof exchanges)[number][]): Promise<readonly Outcome[]> {
  const queue = [...wanted]
  async function work(): Promise<readonly Outcome[]> {
    const next = queue.shift()
    if (next === undefined) return []
    const { status } = await world.ask(next.target, next.account)
    return [{ ...next, status }, ...(await work())]
  }
  return (await Promise.all(Array.from({ length: 8 }, work))).flat()
}

/** Of the tokens that a cloud was brought, in order. */
function kidsOf(requests: readonly LoggedRequest[]): readonly unknown[] {
  return requests.flatMap(({ fields }) => {
    const token = fields['WebIdentityToken'] ?? fields['client_assertion'] ?? fields['subject_token']
    return token === undefined ? [] : [readToken(token)?.header['kid']]
  })
}

test('keys of ours are rotated in the middle of a run, and no cloud refuses anything', {
  timeout: 120_000,
}, async () => {
  const clouds = [world.sts, world.entra, world.google]
  for (const ring of rings) await runOk(process.execPath, authority('prepare', ring))
  const third = exchanges.length / 3

  const before = await exchangeAll(exchanges.slice(0, third))
  const meanwhile = exchangeAll(exchanges.slice(third, 2 * third))
  const early = await run(process.execPath, authority('activate', 'jwt/RS256'))
  for (const ring of rings) await runOk(process.execPath, authority('activate', ring, '--force'))
  const after = await exchangeAll(exchanges.slice(2 * third))

  // Clouds keep what they read, so a successor that was made a moment ago does not sign unless it is forced to: here
  // every cloud has read it since.
  expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining('verifiers need') })
  const all = [...before, ...(await meanwhile), ...after]
  expect(all.filter(({ status }) => status !== 200)).toEqual([])
  expect(all).toHaveLength(240)
  for (const { requests } of clouds) {
    expect(requests.filter(({ status }) => status !== 200)).toEqual([])
    expect(requests).toHaveLength(80)
    const kids = kidsOf(requests)
    expect(new Set(kids).size).toBe(2)
    expect(kids.at(-1)).not.toBe(kids[0])
  }
  const subjects = apps.flatMap(({ accounts }) => accounts.map(idOf)).sort()
  expect(world.entra.issued.map(({ subject }) => subject).sort()).toEqual(subjects)

  const records = await world.gateway.records()
  expect(records.filter(({ decision }) => decision === 'refused').map(({ operation }) => operation)).toEqual([
    'authority.activate',
  ])
  expect(records.filter(({ operation }) => operation === 'exchange')).toHaveLength(240)
})
