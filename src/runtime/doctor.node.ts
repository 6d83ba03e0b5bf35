/**
 * Looks at a set-up link by link and says which one fails, and what to do about it.
 *
 * @module
 */
import { createConnectUpstream } from '../adapters/connect-upstream.node.ts'
import { createFileReader } from '../adapters/file-reader.node.ts'
import type { ConnectUpstream } from '../adapters/http-client.ts'
import { createIssuerView, type IssuerView } from '../adapters/issuer-view.node.ts'
import type { Finding } from '../core/finding.ts'
import { type AdminClient, createAdminClient, readAdminSocketPath } from './admin-client.node.ts'

/** `skip`: an earlier link keeps it from being looked at. */
export type Verdict = 'pass' | 'warn' | 'fail' | 'skip'

export interface Check {
  /** Stable. */
  readonly name: string
  readonly verdict: Verdict
  /** What was looked at, in a few words. */
  readonly seen: string
  readonly findings: readonly Finding[]
}

export interface Diagnosis {
  /** Whether no link fails. */
  readonly ok: boolean
  readonly checks: readonly Check[]
}

/** How doctors look at the world. */
export interface DoctorDeps {
  readonly view: IssuerView
  /** To services that this depends on. */
  readonly connect: ConnectUpstream
  /** Of the running gateway. @throws {AdminSocketError} */
  readonly admin: () => Promise<Pick<AdminClient, 'call'>>
  readonly now: () => Date
  readonly monotonicMs: () => number
}

export interface DoctorOptions {
  readonly configFile: string
  /** PEM; trusted instead of the public authorities. */
  readonly caFile?: string
}

/** Rejects as `readFile` does where the file of authorities can not be read. */
export async function createDoctorDeps({ configFile, caFile }: DoctorOptions): Promise<DoctorDeps> {
  const monotonicMs = () => performance.now()
  return {
    view: await createIssuerView(caFile),
    connect: createConnectUpstream({ files: createFileReader(), monotonicMs }),
    admin: async () => createAdminClient(await readAdminSocketPath(configFile)),
    now: () => new Date(),
    monotonicMs,
  }
}

/** The verdict follows from the findings. */
export function concludeCheck(name: string, seen: string, findings: readonly Finding[]): Check {
  const failed = findings.some(({ severity }) => severity === 'error')
  return { name, verdict: failed ? 'fail' : findings.length > 0 ? 'warn' : 'pass', seen, findings }
}

export function skipCheck(name: string, why: string): Check {
  return { name, verdict: 'skip', seen: why, findings: [] }
}

export function concludeDiagnosis(checks: readonly Check[]): Diagnosis {
  return { ok: checks.every(({ verdict }) => verdict !== 'fail'), checks }
}
