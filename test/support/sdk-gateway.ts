/**
 * A gateway as the SDK meets it: TLS on a port that stays the same, proofs, and what operators do.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { X509SourceOptions } from '../../src/node.ts'
import { freePort } from '../cli/run-cli.ts'
import { type Document, startGateway, type TestGateway } from './gateway.ts'

export interface SdkGateway {
  readonly url: string
  readonly gateway: () => TestGateway
  /** A proof of `spiffe://example.org/ci/NAME` that is good again and again. */
  readonly tokenOf: (name: string) => string
  /** With the authorities as they are now in the CA file. */
  readonly optionsOf: (name: string) => X509SourceOptions & { readonly server: string; readonly caFile: string }
  /** Ends it; {@link SdkGateway.comeBack} starts it over the same store and port. */
  readonly goAway: () => Promise<void>
  readonly comeBack: () => Promise<void>
  /** Does something to the X.509 authority that signs. */
  readonly change: (action: 'taint' | 'revoke') => Promise<void>
  readonly close: () => Promise<void>
}

export async function startSdkGateway(changes: Document = {}): Promise<SdkGateway> {
  const port = await freePort()
  const document = { issuer: `https://localhost:${port}`, listen: { address: `127.0.0.1:${port}` }, ...changes }
  let gateway = await startGateway({ document })
  const caFile = join(gateway.folder, 'ca.pem')
  const url = `https://localhost:${port}`
  const tokenOf = (sub: string) => gateway.issuer.token({ sub })

  async function change(action: 'taint' | 'revoke'): Promise<void> {
    const { items } = (await gateway.admin('/v1/authorities')).json() as { readonly items: readonly Document[] }
    const active = items.find(({ ring, state }) => ring === 'x509' && state === 'active')
    const answer = await gateway.admin('/v1/authorities', 'POST', { action, id: active?.id })
    if (answer.status !== 200) throw new Error(answer.text)
  }

  return {
    url,
    gateway: () => gateway,
    tokenOf,
    optionsOf(name) {
      writeFileSync(caFile, gateway.server.gateway.published().bundlePem.body)
      return { server: url, caFile, token: () => tokenOf(name), env: {} }
    },
    goAway: () => gateway.close(),
    async comeBack() {
      gateway = await gateway.restart()
    },
    change,
    close: () => gateway[Symbol.asyncDispose](),
  }
}

/** A clock of which time passes by hand, and timers that go by it. */
export function handClock() {
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()
  let passedMs = 0
  const nowMs = () => Date.now() + passedMs
  return {
    now: () => new Date(nowMs()),
    startTimer(callback: () => void, ms: number) {
      const timer = { atMs: nowMs() + ms, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    waits: () => timers.size,
    /** Calls back what is due then, and what that starts and is due as well. */
    pass(ms: number): void {
      passedMs += ms
      const due = () => [...timers].find(({ atMs }) => atMs <= nowMs())
      for (let timer = due(); timer; timer = due()) {
        timers.delete(timer)
        timer.callback()
      }
    },
  }
}
