/**
 * Apostille as an example starts it: its own `apostille.yaml`, with the places of this run put in.
 *
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { load } from 'js-yaml'
import type { Cluster } from './cluster.ts'
import { callHttps } from './https-call.ts'
import { type Program, runCommand, startProgram } from './programs.ts'

export interface GatewayOptions {
  /** The example's `apostille.yaml`. */
  readonly configFile: string
  /** Holds the configuration of the run, and what Apostille keeps. */
  readonly folder: string
  /** Absent: nothing of the configuration is of a cluster. */
  readonly cluster?: Cluster | undefined
  /** What else of the configuration is of this run. */
  readonly places?: Places
}

/** Paths in the configuration document, and what is put there. */
export type Places = readonly (readonly [path: readonly string[], value: string])[]

export interface Gateway {
  /** `https://localhost:<port>`: where it listens, and its `iss`. */
  readonly url: string
  /** Its authorities, PEM: what workloads check it against. In a cluster this is a ConfigMap. */
  readonly caFile: string
  /** Ends it on the spot, as a crash would. */
  readonly kill: () => Promise<void>
  /** Starts it again, with the store that it left. */
  readonly start: () => Promise<void>
  readonly stop: () => Promise<void>
  /** What a command of the operator writes, such as `command('federation', 'list')`. Rejects when it fails. */
  readonly command: (...args: readonly string[]) => Promise<string>
  /** The records that it has kept, oldest first. */
  readonly records: () => Promise<readonly KeptRecord[]>
  /** Whether none of them was changed or removed. */
  readonly verifyRecords: () => Promise<boolean>
}

/** The parts of a record that the examples show. */
export interface KeptRecord {
  readonly time: string
  readonly operation: string
  readonly decision: 'granted' | 'refused'
  readonly code?: string
  readonly reason?: string
  readonly authenticator?: string
  readonly attributes?: Readonly<Record<string, unknown>>
  readonly spiffe_id?: string
  readonly rule?: string
  readonly target?: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly issued?: {
    readonly serial_number?: string
    readonly audience?: readonly string[]
    readonly expires_at: string
  }
}

/** The command line: from the sources, or what `APOSTILLE_CLI` names, such as `dist/cli/main.js`. */
export const commandLine = process.env['APOSTILLE_CLI'] ?? join(import.meta.dirname, '../../src/cli/main.ts')

export async function startGateway({ configFile, folder, cluster, places = [] }: GatewayOptions): Promise<Gateway> {
  const port = await findFreePort()
  const url = `https://localhost:${port}`
  const config = join(folder, 'apostille.yaml')
  const caFile = join(folder, 'bundle.pem')
  await writeFile(config, await fillIn(configFile, { port, url, cluster, places }))
  let program: Program

  async function start(): Promise<void> {
    program = startProgram({ name: 'apostille', command: [commandLine, 'serve', '--config', config], env: {} })
    await Promise.race([untilReady(url), program.ended().then(() => Promise.reject(new Error('it ended')))]).catch(
      (cause) => {
        throw new Error(`Apostille did not start:\n  ${program.lastLines()}`, { cause })
      },
    )
  }

  await start()
  await writeFile(caFile, await readBundle(url))
  return {
    url,
    caFile,
    start,
    kill: () => program.kill(),
    stop: () => program.stop(),
    command: (...args) => runCommand(commandLine, [...args, '--config', config]),
    records: () => listRecords(config),
    verifyRecords: () => verifyRecords(config),
  }
}

interface Run extends Pick<GatewayOptions, 'cluster'>, Required<Pick<GatewayOptions, 'places'>> {
  readonly port: number
  readonly url: string
}

async function fillIn(file: string, { port, url, cluster, places }: Run): Promise<string> {
  const document = load(await readFile(file, 'utf8')) as Tree
  const ofCluster: Places = cluster
    ? [
        [['authenticators', 'cluster', 'issuer'], cluster.issuer],
        [['authenticators', 'cluster', 'ca_file'], cluster.caFile],
      ]
    : []
  const own: Places = [
    [['issuer'], url],
    [['listen', 'address'], `127.0.0.1:${port}`],
  ]
  for (const [path, value] of [...own, ...ofCluster, ...places]) put(document, path, value)
  return JSON.stringify(document)
}

interface Tree {
  [key: string]: Tree | string
}

function put(tree: Tree, [key = '', ...below]: readonly string[], value: string): void {
  if (below.length === 0) {
    tree[key] = value
    return
  }
  tree[key] ??= {}
  put(tree[key] as Tree, below, value)
}

/** A port that nobody used a moment ago. */
export async function findFreePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const probe = createServer()
  probe.once('error', reject).listen(0, '127.0.0.1', () => {
    const address = probe.address()
    probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
  })
  return promise
}

const startDeadlineMs = 30_000
const askEveryMs = 50

async function untilReady(url: string): Promise<void> {
  const deadline = Date.now() + startDeadlineMs
  while (Date.now() < deadline) {
    const answer = await callHttps(`${url}/readyz`, unverified).catch(() => undefined)
    if (answer?.status === 200) return
    await pause(askEveryMs)
  }
  throw new Error('not ready in time')
}

/**
 * Where trust starts, and the only call of the examples that does not check who answers: it goes over loopback to the
 * process that was started a moment ago. Elsewhere an operator hands the bundle on over a way that is trusted already.
 */
const unverified = { rejectUnauthorized: false }

async function readBundle(url: string): Promise<string> {
  const { status, text } = await callHttps(`${url}/v1/bundle?format=pem`, unverified)
  if (status !== 200) throw new Error(`the bundle could not be read: ${status}`)
  return text
}

async function listRecords(config: string): Promise<readonly KeptRecord[]> {
  const text = await runCommand(commandLine, [
    'records',
    'list',
    '--config',
    config,
    '--order',
    'oldest',
    '--limit',
    '1000',
    '--output',
    'json',
  ])
  return (JSON.parse(text) as { readonly items: readonly KeptRecord[] }).items
}

async function verifyRecords(config: string): Promise<boolean> {
  const text = await runCommand(commandLine, ['records', 'verify', '--config', config, '--output', 'json'])
  return (JSON.parse(text) as { readonly ok: boolean }).ok
}
