/**
 * What a destination is tested in: an issuer, a cloud that trusts it, and a store that takes what that cloud gave. Without
 * a valid exchange nothing gets in.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { createConnectUpstream } from '../../src/adapters/connect-upstream.node.ts'
import { createOpenDestination } from '../../src/adapters/destinations/index.ts'
import { createExchangeAtCloud } from '../../src/adapters/exchangers/index.ts'
import { createFileReader } from '../../src/adapters/file-reader.node.ts'
import type { CloudCredential } from '../../src/core/cloud.ts'
import { destinationSchema } from '../../src/core/config-destinations.ts'
import type { OwnerStamp } from '../../src/core/owner-stamp.ts'
import {
  DestinationError,
  type DestinationTurn,
  type HeldSecret,
  type SecretDestination,
  type SecretPush,
  type SecretValue,
} from '../../src/core/secret-destination.ts'
import type { CloudOptions } from './clouds/cloud-server.ts'
import { makeIssuerKeys, startTestIssuer } from './clouds/test-issuer.ts'
import { type Members, targetOf } from './exchanger.ts'
import { createTestAuthority } from './tls.ts'

export const subject = 'spiffe://example.org/sync/one'

/** What all clouds of one world have in common. */
export interface IdentityWorld {
  /** Of the doubles. */
  readonly cloud: CloudOptions
  now: Date
  /** Runs when somebody begins to wait. */
  onPause: () => void
  /** Of an exchange, whose document this is. */
  readonly credentialOf: (target: Members, audience: string) => Promise<CloudCredential>
  readonly open: (document: Members, credential: () => Promise<CloudCredential>) => SecretDestination
  /** Closes what was opened, and sets the clock back. */
  readonly reset: () => void
  readonly close: () => Promise<void>
}

export async function startIdentityWorld(): Promise<IdentityWorld> {
  // The library of AWS signs with the time of the machine.
  const start = new Date()
  const authority = await createTestAuthority('public CA')
  const issuer = await startTestIssuer(authority, makeIssuerKeys())
  const connect = createConnectUpstream({
    files: createFileReader(),
    monotonicMs: () => performance.now(),
    deadlineMs: 10_000,
  })
  const now = () => world.now
  const exchange = createExchangeAtCloud({ connect, now })
  const openDestination = createOpenDestination({
    connect,
    now,
    async pause(ms, signal) {
      world.onPause()
      signal.throwIfAborted()
      world.now = new Date(world.now.getTime() + ms)
    },
  })
  const opened: SecretDestination[] = []

  const world: IdentityWorld = {
    cloud: { authority, publicCas: [authority.ca], resolve: issuer.resolve, now },
    now: start,
    onPause: () => undefined,
    async credentialOf(target, audience) {
      const seconds = Math.floor(world.now.getTime() / 1000)
      const claims = { iss: issuer.issuer, sub: subject, aud: audience, iat: seconds - 30, exp: seconds + 300 }
      const { signal } = new AbortController()
      const wanted = { target: targetOf(target), token: issuer.token(claims), sessionName: 'sync-one', signal }
      return (await exchange(wanted)).credential
    },
    open(document, credential) {
      const parsed = destinationSchema.parse(document)
      const destination = openDestination({ name: 'there', document: parsed, credential, targetRegion: 'eu-west-1' })
      opened.push(destination)
      return destination
    },
    reset() {
      world.now = start
      world.onPause = () => undefined
      for (const { close } of opened.splice(0)) void close?.()
    },
    async close() {
      await Promise.all(opened.map(({ close }) => close?.()))
      await exchange.close()
      await issuer.close()
    },
  }
  return world
}

export interface PushChanges extends Partial<Omit<SecretPush, 'stamp'>> {
  readonly stamp?: Partial<OwnerStamp>
}

export const owner = 'one/there/deployment-a'

/** As the engine makes it: fingerprint and token follow from name and value. */
export function pushOf(name: string, value: SecretValue, changes: PushChanges = {}): SecretPush {
  const mark = `${name}=${Buffer.from(value as string).toString('hex')}`
  const stamp = { owner, source: 'kv:payments/db', basis: 'basis-1', fingerprint: digestOf(mark), group: 'g', parts: 1 }
  return {
    name,
    value,
    tags: {},
    token: (replaced) => uuidOf(`${mark}/${replaced}`),
    adopts: false,
    ...changes,
    stamp: { ...stamp, ...changes.stamp },
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 32)
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

export interface TestTurn extends DestinationTurn {
  /** What was asked for, in order. */
  readonly paced: ('read' | 'write')[]
}

export function turnOf(signal = new AbortController().signal): TestTurn {
  const paced: ('read' | 'write')[] = []
  return { signal, paced, pace: async (kind) => void paced.push(kind) }
}

export async function listAll(destination: SecretDestination, turn: DestinationTurn = turnOf()): Promise<HeldSecret[]> {
  const all: HeldSecret[] = []
  for await (const page of destination.list(turn)) all.push(...page)
  return all
}

/** What it fails with; anything but a `DestinationError` is thrown. */
export async function failureOf(outcome: Promise<unknown>): Promise<DestinationError> {
  const failure = await outcome.then(
    (done) => new Error(`it was done: ${JSON.stringify(done)}`),
    (error: unknown) => error,
  )
  if (failure instanceof DestinationError) return failure
  throw failure
}
