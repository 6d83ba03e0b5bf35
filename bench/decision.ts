/**
 * The decision alone, in process: a proof seen before, a thousand rules, policies, as a share of one signature's time.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthenticator } from '../src/adapters/authenticators/index.ts'
import { createConnectUpstream } from '../src/adapters/connect-upstream.node.ts'
import { createFileReader } from '../src/adapters/file-reader.node.ts'
import type { Proof } from '../src/core/authenticate.ts'
import { createConfigured } from '../src/core/configured.ts'
import { entitle } from '../src/core/entitle.ts'
import { silentTelemetry } from '../src/core/telemetry.ts'
import { loadConfiguration } from '../src/runtime/configuration.node.ts'
import type { Bench } from './bench.ts'
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { measureBase } from './openssl-speed.ts'
import { audience, createConfiguration } from './workload.ts'

const decisions = 20_000

export const decision: Figure = {
  rows: [
    {
      name: 'decision',
      what: 'proof seen before → decision with 1,000 rules, in process',
      unit: 'of a signature',
      bound: { kind: 'at most', required: 0.25, aim: 0.1 },
    },
  ],
  async prepare(bench) {
    const decide = await createDecision(bench)
    for (let count = 0; count < decisions; count++) await decide()
    return async () => {
      const { signs } = await measureBase(cores.load)
      const startedMs = performance.now()
      for (let count = 0; count < decisions; count++) await decide()
      const microseconds = ((performance.now() - startedMs) * 1000) / decisions
      return { values: { decision: (microseconds * signs) / 1e6 }, seen: { microseconds, signs } }
    }
  },
}

/** @returns One decision; throws where it is not granted. */
async function createDecision({ folder, workload }: Bench): Promise<() => Promise<void>> {
  const place = join(folder, 'decision')
  await mkdir(place)
  await writeFile(join(place, 'apostille.yaml'), createConfiguration({ rules: 1000, tls: false, port: 1 }))
  await writeFile(join(place, 'jwks.json'), workload.jwks)
  const config = await loadConfiguration(join(place, 'apostille.yaml'))
  const files = createFileReader()
  const monotonicMs = () => performance.now()
  const now = () => new Date()
  const unused = () => {
    throw new Error('this configuration does not need it')
  }
  const deps = {
    connect: createConnectUpstream({ files, monotonicMs }),
    files,
    monotonicMs,
    now,
    telemetry: silentTelemetry,
    shareFetches: true,
    store: { findJoinToken: unused, claimProof: unused },
    trustDomain: config.trustDomain,
    bundleOf: unused,
    ours: unused,
  }
  const authenticators = [...config.authenticators.values()].map((one) => createAuthenticator(one, deps))
  const configured = createConfigured(config, authenticators, deps)
  const proof: Proof = { kind: 'bearer', token: workload.token }
  return async () => {
    const known = configured.authenticate(proof)
    const identity = known instanceof Promise ? await known : known
    const decided = await entitle({
      configured,
      identity,
      operation: 'jwt_svid',
      address: '127.0.0.1',
      now: now(),
      audience: [audience],
      readJoinToken: unused,
    })
    if (!decided.granted) throw new Error(decided.reason)
  }
}
