/**
 * Measures what Apostille does, each figure against a base of the same run.
 *
 *     node bench/main.ts [--check] [--short] [--only NAME]… [--rounds N] [--json FILE] [--generator wrk|autocannon]
 *
 * The server has one core to itself and the load generator another. Rounds are interleaved: every figure is measured once
 * in each, and the result is the median.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { openBench } from './bench.ts'
import { commandLine } from './command-line.ts'
import { consolePages } from './console.ts'
import { cores, requireTwoCores, stayOn } from './cores.ts'
import { credential } from './credential.ts'
import { credentialCrowd } from './credential-crowd.ts'
import { decision } from './decision.ts'
import { documents } from './documents.ts'
import { federatedDomains } from './federated-domains.ts'
import { type Figure, fails, type RowResult, type Sample, summarise } from './figure.ts'
import { foreignToken } from './foreign-token.ts'
import { jwtSvid } from './jwt-svid.ts'
import { latency } from './latency.ts'
import { type GeneratorName, generators } from './load.ts'
import { manyRules } from './many-rules.ts'
import { metricsCost } from './metrics-cost.ts'
import { mtls } from './mtls.ts'
import { opensslVersion } from './openssl-speed.ts'
import { overload } from './overload.ts'
import { postgresJwtSvid } from './postgres-jwt-svid.ts'
import { serverProgram } from './server-process.ts'
import { start } from './start.ts'
import { startWithTargets } from './start-with-targets.ts'
import { svidBatch } from './svid-batch.ts'
import { sync } from './sync.ts'
import { formatNumber, formatTable } from './table.ts'
import { workers as inWorkerd } from './workerd.ts'
import { workers } from './workers.ts'
import { x509Library } from './x509-library.ts'
import { x509Svid } from './x509-svid.ts'

const figures: readonly Figure[] = [
  jwtSvid,
  svidBatch,
  x509Svid,
  x509Library,
  latency,
  decision,
  manyRules,
  start,
  documents,
  overload,
  foreignToken,
  mtls,
  federatedDomains,
  credential,
  credentialCrowd,
  startWithTargets,
  commandLine,
  metricsCost,
  consolePages,
  sync,
  postgresJwtSvid,
  inWorkerd,
  workers,
]

const { values: options } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    json: { type: 'string' },
    generator: { type: 'string' },
  },
})

const judgement = options.short ? { share: 0.5, lenient: true } : { share: 0.8, lenient: false }
const minRounds = options.short ? 1 : 7
const rounds = readRounds()
const chosen = chooseFigures()
const context = {
  node: process.version,
  nodeOpenssl: process.versions.openssl,
  openssl: opensslVersion(),
  cpu: cpus()[0]?.model ?? 'unknown',
  server: serverProgram().name,
  rounds,
}

requireTwoCores()
stayOn(cores.load)
const bench = await openBench({ sliceSeconds: options.short ? 1 : 2, generator: readGenerator() })
let results: readonly RowResult[] = []
try {
  describeRun()
  results = await measureAll()
} finally {
  await bench.close()
}
console.log(`\n${formatTable(results, judgement)}`)
if (options.json !== undefined) {
  const document = { ...context, generator: bench.load.name, results }
  writeFileSync(options.json, `${JSON.stringify(document, undefined, 2)}\n`)
}
const failed = results.filter((result) => fails(result, judgement))
if (options.check && failed.length > 0) {
  console.error(`\nfails: ${failed.map(({ row }) => row.name).join(', ')}`)
  process.exitCode = 1
}

async function measureAll(): Promise<readonly RowResult[]> {
  const ready: Measured[] = []
  for (const figure of chosen) ready.push({ figure, take: await figure.prepare(bench), samples: [] })
  for (let round = 1; round <= rounds; round++) {
    for (const { figure, take, samples } of ready) {
      const sample = await take()
      samples.push(sample)
      console.log(`round ${round}: ${describeSample(figure, sample)}`)
    }
  }
  if (options.short) await measureAgain(ready)
  return ready.flatMap(({ figure, samples }) => figure.rows.map((row) => summarise(row, samples)))
}

interface Measured {
  readonly figure: Figure
  readonly take: () => Promise<Sample>
  readonly samples: Sample[]
}

/** A machine that others share has bad minutes: what fails is measured again, some times, before it counts. */
async function measureAgain(ready: readonly Measured[]): Promise<void> {
  for (let again = 1; again <= 12; again++) {
    const failing = ready.filter(({ figure, samples }) =>
      figure.rows.some((row) => fails(summarise(row, samples), judgement)),
    )
    for (const { figure, take, samples } of failing) {
      const sample = await take()
      samples.push(sample)
      console.log(`again ${again}: ${describeSample(figure, sample)}`)
    }
  }
}

function describeSample({ rows }: Figure, { values, seen }: Sample): string {
  const figured = rows.map(({ name, unit }) => `${name} ${formatNumber(values[name] ?? Number.NaN)} ${unit}`)
  const besides = Object.entries(seen).map(([name, value]) => `${name} ${formatNumber(value)}`)
  return `${figured.join(', ')} (${besides.join(', ')})`
}

function describeRun(): void {
  console.log(`Node ${context.node} with OpenSSL ${context.nodeOpenssl}; base: ${context.openssl}; ${context.cpu}`)
  console.log(`server: ${context.server}, on core ${cores.server}, metrics on, access log to a file`)
  console.log(
    `load: ${bench.load.name} on core ${cores.load}; a fixed rate, tokens not seen before and client certificates by bench/open-loop.ts`,
  )
  console.log('O: P-256 signatures a second of openssl speed on one core; V: verifications; C = 1/(1/O + 1/V)')
  for (const { rows } of chosen) for (const { name, what } of rows) console.log(`  ${name}: ${what}`)
}

function chooseFigures(): readonly Figure[] {
  const names = options.only
  if (names === undefined) return figures
  const unknown = names.filter((name) => !figures.some(({ rows }) => rows.some((row) => row.name === name)))
  if (unknown.length > 0) {
    const known = figures.flatMap(({ rows }) => rows.map(({ name }) => name))
    throw new Error(`no figure ${unknown.join(', ')}: there are ${known.join(', ')}`)
  }
  return figures.filter(({ rows }) => rows.some(({ name }) => names.includes(name)))
}

function readRounds(): number {
  const asked = options.rounds === undefined ? (options.short ? 3 : 7) : Number(options.rounds)
  if (!Number.isInteger(asked) || asked < 1) throw new Error('--rounds: a whole number from 1')
  return options.check ? Math.max(asked, minRounds) : asked
}

function readGenerator(): GeneratorName | undefined {
  const { generator } = options
  if (generator === undefined) return undefined
  const known = generators.find((name) => name === generator)
  if (known === undefined) throw new Error(`--generator: one of ${generators.join(', ')}`)
  return known
}
