/**
 * Explains to an operator: what a proof would get, or why a request was decided as it was.
 *
 * @module
 */
import type { AuthenticatedIdentity, Proof } from './authenticate.ts'
import type { Configured } from './configured.ts'
import { type ExplainedRequest, type Explanation, explain } from './explain.ts'
import { readRecordedRequest } from './explain-record.ts'
import type { RecordDocument } from './record.ts'
import type { RecordPage } from './record-list.ts'
import type { Records } from './records.ts'
import { Refusal, type RefusalCode } from './refusal.ts'
import type { Store } from './store.ts'

export interface ExplainerDeps {
  readonly configured: () => Configured
  readonly store: Pick<Store, 'readJoinToken'>
  readonly records: Pick<Records, 'list'>
  readonly now: () => Date
}

/** Asked as of now. */
export interface ExplainProofRequest extends Omit<ExplainedRequest, 'time'> {
  readonly proof: Proof
  /** Name of the authenticator: only narrows. */
  readonly authenticator?: string
}

/** Who the proof says its bearer is; only what records may hold of it. */
export type ExplainedIdentity = Pick<AuthenticatedIdentity, 'authenticator' | 'type' | 'recorded'> & {
  readonly use: AuthenticatedIdentity['use']['kind']
}

export interface ExplainedAsk {
  readonly request: ExplainedRequest
  /** Digest of the configuration in use, which decides. */
  readonly document: string
  /** Absent where the proof is none. */
  readonly identity?: ExplainedIdentity
  readonly explanation?: Explanation
  /** Why there is no explanation. */
  readonly refused?: { readonly code: RefusalCode; readonly reason: string }
}

export interface ExplainedRecord extends Partial<Pick<ExplainedAsk, 'request' | 'identity' | 'explanation'>> {
  readonly record: RecordDocument
  readonly document: string
  /** Why it is not decided again. */
  readonly unexplained?: string
}

export interface Explainer {
  /** A presigned AWS identity is good once, and is then used up; nothing else of a proof is. */
  readonly explainProof: (request: ExplainProofRequest) => Promise<ExplainedAsk>
  /** Every record of a request. @throws {Refusal} `not_found` */
  readonly explainRecords: (requestId: string) => Promise<readonly ExplainedRecord[]>
}

export function createExplainer(deps: ExplainerDeps): Explainer {
  const { readJoinToken } = deps.store
  return {
    async explainProof({ proof, authenticator, ...asked }) {
      const configured = deps.configured()
      const request = { ...asked, time: deps.now() }
      const document = configured.config.digest
      const identity = await authenticate(configured, proof, authenticator)
      if (identity instanceof Refusal)
        return { request, document, refused: { code: identity.code, reason: identity.reason } }
      const explanation = await explain({ configured, identity, request, readJoinToken })
      return { request, document, identity: outline(identity), explanation }
    },

    async explainRecords(requestId) {
      const configured = deps.configured()
      const found = await findRecords(deps.records, requestId)
      if (found.length === 0)
        throw new Refusal('not_found', 'no record of that request', { detail: 'there is no record of that request' })
      const explained: ExplainedRecord[] = []
      for (const record of found) explained.push(await explainRecord(configured, record, readJoinToken))
      return explained
    },
  }
}

async function authenticate(
  { authenticate: check }: Configured,
  proof: Proof,
  authenticator: string | undefined,
): Promise<AuthenticatedIdentity | Refusal> {
  try {
    return await check(proof, authenticator)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

function outline({ authenticator, type, recorded, use }: AuthenticatedIdentity): ExplainedIdentity {
  return { authenticator, type, recorded, use: use.kind }
}

async function explainRecord(
  configured: Configured,
  record: RecordDocument,
  readJoinToken: Store['readJoinToken'],
): Promise<ExplainedRecord> {
  const document = configured.config.digest
  const recorded = readRecordedRequest(record, configured.config)
  if (typeof recorded === 'string') return { record, document, unexplained: recorded }
  const { identity, request } = recorded
  const explanation = await explain({ configured, identity, request, readJoinToken })
  return { record, document, request, identity: outline(identity), explanation }
}

const pageSize = 1000

/** Records of one request were kept together, so that no more is looked through once some were found. */
async function findRecords(records: Pick<Records, 'list'>, requestId: string): Promise<readonly RecordDocument[]> {
  let after: string | undefined
  do {
    const page: RecordPage = await records.list({
      filters: { requestId },
      limit: pageSize,
      newestFirst: true,
      ...(after !== undefined && { after }),
    })
    if (page.items.length > 0) return page.items.map(({ record }) => record).reverse()
    after = page.next
  } while (after !== undefined)
  return []
}
