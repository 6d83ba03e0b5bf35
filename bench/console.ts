/**
 * How long a page of the console takes with a million records in the store.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Figure, median } from './figure.ts'
import { jwtRequest } from './request.ts'
import { freePort, startServerProcess } from './server-process.ts'

const records = 1_000_000
const requestsPerPage = 9
const pages = [
  '/',
  '/identities',
  '/authorities',
  '/federation',
  '/targets',
  '/syncs',
  '/records',
  '/records?decision=refused',
  '/records?spiffe_id=spiffe%3A%2F%2Fexample.org%2Fnobody',
]

export const consolePages: Figure = {
  rows: [
    {
      name: 'console',
      what: `the slowest page of the console with ${records.toLocaleString('en')} records in the store`,
      unit: 'ms',
      bound: { kind: 'at most', required: 20 },
    },
  ],
  async prepare({ folder, workload, keep }) {
    const place = join(folder, 'console')
    await rm(place, { recursive: true, force: true })
    const first = await startServerProcess(place, workload, { rules: 1, tls: false })
    const { path, ...call } = jwtRequest(workload.token)
    const granted = await fetch(new URL(path, first.url), call)
    if (!granted.ok) throw new Error(`no record was made: ${await granted.text()}`)
    await first.close()
    multiplyRecords(join(place, 'apostille.db'))
    const console = await freePort()
    await keep(await startServerProcess(place, workload, { rules: 1, tls: false, console }))
    return async () => {
      const times: number[] = []
      for (const page of pages) {
        const taken: number[] = []
        for (let count = 0; count < requestsPerPage; count++) taken.push(await timePage(console, page))
        times.push(median(taken))
      }
      const slowest = Math.max(...times)
      return {
        values: { console: slowest },
        seen: { [`slowest ${pages[times.indexOf(slowest)]}`]: slowest, fastest: Math.min(...times) },
      }
    }
  },
}

/** Copies of the last record behind it: nobody verifies the chain here, and no page does. */
function multiplyRecords(file: string): void {
  const db = new DatabaseSync(file)
  db.exec(`
    BEGIN;
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${records})
      INSERT INTO records SELECT last.id + n, last.at, last.mac, last.body
        FROM numbers, (SELECT * FROM records ORDER BY id DESC LIMIT 1) AS last;
    INSERT INTO record_spans SELECT id / 4096, min(at), max(at) FROM records GROUP BY id / 4096
      ON CONFLICT (span) DO NOTHING;
    COMMIT;
  `)
  db.close()
}

async function timePage(port: number, path: string): Promise<number> {
  const startedMs = performance.now()
  await new Promise<void>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${path}: ${answer.statusCode}`))
      answer.resume().once('end', resolve)
    })
    sent.once('error', reject).end()
  })
  return performance.now() - startedMs
}
