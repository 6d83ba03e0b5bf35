/**
 * Load on replicas, and what came of it: every token that was answered, and whether somebody who had fetched the keys
 * within the hint could verify it.
 *
 * @module
 */
import type { Replica } from './replica.ts'

export interface LoadOptions {
  readonly replicas: readonly Replica[]
  readonly proof: () => string
  /** Each asks again as soon as it has its answer and rested a moment. */
  readonly callersEach: number
}

export interface ReplicaLoad {
  /** Of the tokens that reached a caller. */
  readonly jtis: readonly string[]
  /** Answers by replica and status; `none` where there was none in time. */
  readonly answers: (replica: Replica) => Readonly<Record<string, number>>
  /** Tokens whose key was in no copy that a verifier may still hold. */
  readonly unknownKeys: readonly string[]
  readonly keysSeen: ReadonlySet<string>
  /** Waits for the next answer of a replica with this status. */
  readonly next: (replica: Replica, status: number) => Promise<void>
  readonly stop: () => Promise<void>
}

const deadlineMs = 8_000
const restMs = 20
const fetchKeysMs = 2_000

export function startLoad({ replicas, proof, callersEach }: LoadOptions): ReplicaLoad {
  const jtis: string[] = []
  const unknownKeys: string[] = []
  const keysSeen = new Set<string>()
  const counts = new Map<Replica, Record<string, number>>(replicas.map((replica) => [replica, {}]))
  const waiting = new Set<{ readonly replica: Replica; readonly status: number; readonly resolve: () => void }>()
  const ended = new AbortController()
  /** As a verifier holds them, that fetches well within the hint from whoever answers. */
  let copy: ReadonlySet<string> | undefined

  async function fetchKeys(): Promise<void> {
    for (const replica of replicas) {
      const answer = await fetchOf(replica, '/keys').catch(() => undefined)
      if (answer?.status !== 200) continue
      const { keys } = (await answer.json()) as { readonly keys: readonly { readonly kid: string }[] }
      copy = new Set(keys.map(({ kid }) => kid))
      return
    }
  }

  async function call(replica: Replica): Promise<void> {
    const copyBefore = copy
    const answer = await fetchOf(replica, '/v1/svid/jwt', {
      method: 'POST',
      headers: { authorization: `Bearer ${proof()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ audience: ['https://api.example.org'] }),
    }).catch(() => undefined)
    const token = answer?.status === 200 ? await readToken(answer) : undefined
    if (answer && answer.status !== 200) await answer.text().catch(() => '')
    tell(replica, answer?.status === 200 && token === undefined ? 'none' : (answer?.status ?? 'none'))
    if (token === undefined) return
    jtis.push(token.jti)
    keysSeen.add(token.kid)
    if (copyBefore && !copyBefore.has(token.kid)) unknownKeys.push(token.kid)
  }

  function tell(replica: Replica, status: number | 'none'): void {
    const count = counts.get(replica) ?? {}
    count[status] = (count[status] ?? 0) + 1
    for (const one of waiting) {
      if (one.replica !== replica || one.status !== status) continue
      waiting.delete(one)
      one.resolve()
    }
  }

  async function again(work: () => Promise<void>, pauseMs: number): Promise<void> {
    while (!ended.signal.aborted) {
      await work()
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }

  const callers = replicas.flatMap((replica) =>
    Array.from({ length: callersEach }, () => again(() => call(replica), restMs)),
  )
  const running = Promise.all([...callers, again(fetchKeys, fetchKeysMs)])
  return {
    jtis,
    unknownKeys,
    keysSeen,
    answers: (replica) => counts.get(replica) ?? {},
    next: (replica, status) => new Promise((resolve) => waiting.add({ replica, status, resolve })),
    async stop() {
      ended.abort()
      await running
    },
  }
}

function fetchOf(replica: Replica, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${replica.port}${path}`, { ...init, signal: AbortSignal.timeout(deadlineMs) })
}

async function readToken(answer: Response): Promise<{ readonly jti: string; readonly kid: string } | undefined> {
  const body = (await answer.json().catch(() => undefined)) as { readonly token: string } | undefined
  if (body === undefined) return undefined
  const [header = '', claims = ''] = body.token.split('.')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, string>
  return { jti: read(claims)['jti'] ?? '', kid: read(header)['kid'] ?? '' }
}
