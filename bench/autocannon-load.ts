/**
 * The load of a plan by autocannon, in a process of its own.
 *
 *     node bench/autocannon-load.ts PLAN
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'
import type { LoadPlan, LoadResult } from './load.ts'

process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
const { url, requests, connections, seconds } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LoadPlan
const result = await autocannon({ url, connections, duration: seconds, requests })
const answer: LoadResult = {
  perSecond: (result['2xx'] + result.non2xx) / result.duration,
  failed: result.non2xx + result.errors + result.timeouts,
  p99Ms: result.latency.p99,
}
console.log(JSON.stringify(answer))
