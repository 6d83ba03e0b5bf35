/**
 * Workloads that all ask at once for a credential that none of them has yet, as when a cluster starts: one exchange for
 * each identity, whoever asks and however often.
 *
 * @module
 */
import type { Bench } from './bench.ts'
import type { Cloud } from './cloud.ts'
import type { Figure } from './figure.ts'

const workloads = 1000
/** Two containers of each ask for the same. */
const asksEach = 2
const deadlineMs = 60_000

export const credentialCrowd: Figure = {
  rows: [
    {
      name: 'credential-crowd',
      what: `${workloads} workloads ask at once, twice each, for one target: the most exchanges that one identity took`,
      unit: 'exchanges',
      bound: { kind: 'at most', required: 1 },
    },
  ],
  async prepare(bench) {
    const cloud = await bench.cloud()
    let round = 0
    return () => gather(bench, cloud, ++round)
  },
}

async function gather({ workload }: Bench, { server, path, takeExchanges }: Cloud, round: number) {
  const names = Array.from({ length: workloads }, (_, number) => `round-${round}-${number}`)
  const tokens = workload.createTokens(names)
  takeExchanges()
  const startedMs = performance.now()
  const asked = tokens.flatMap((token) => Array.from({ length: asksEach }, () => ask(`${server.url}${path}`, token)))
  const answers = await Promise.all(asked)
  const seconds = (performance.now() - startedMs) / 1000
  const exchanges = takeExchanges()
  const keys = new Set(answers.map(({ key }) => key))
  const counts = [...exchanges.values()]
  const most = Math.max(...counts)
  const all = counts.reduce((sum, count) => sum + count, 0)
  if (exchanges.size !== workloads || keys.size !== workloads || all !== workloads)
    throw new Error(`${all} exchanges for ${exchanges.size} of ${workloads} identities gave ${keys.size} credentials`)
  const refused = answers.reduce((sum, answer) => sum + answer.refused, 0)
  return { values: { 'credential-crowd': most }, seen: { exchanges: all, credentials: keys.size, refused, seconds } }
}

/** As an SDK does: who is told to come back later does so. */
async function ask(url: string, authorization: string): Promise<{ readonly key: string; readonly refused: number }> {
  const untilMs = performance.now() + deadlineMs
  for (let refused = 0; performance.now() < untilMs; refused++) {
    const answer = await fetch(url, { headers: { authorization } })
    const { AccessKeyId: key } = (await answer.json()) as { readonly AccessKeyId?: string }
    if (answer.status === 200 && key !== undefined) return { key, refused }
    const retryAfter = answer.headers.get('retry-after')
    if (retryAfter === null) throw new Error(`a workload was answered with ${answer.status}`)
    await new Promise((resolve) => setTimeout(resolve, Number(retryAfter) * 1000))
  }
  throw new Error('a workload had no credential in time')
}
