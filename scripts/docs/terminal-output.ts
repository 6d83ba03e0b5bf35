/**
 * What the documentation shows of a terminal, made by running it: `npm run docs:output`. A block of the language `console` has
 * commands behind `$ `, each with what it prints. The commands of a page are run in order, in a folder of their own, beside a
 * gateway of their own.
 *
 * Times, durations and ids differ from run to run: output that differs in nothing else is left as it is.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { runScript } from '../script-failure.ts'
import { root } from './sidebar.ts'

/** What a page is played beside. */
interface Scene {
  /** How the gateway is started; it is stopped at the end. */
  readonly start: (port: number) => string
  /** Files of the folder. */
  readonly files?: (port: number) => Readonly<Record<string, string>>
  /** As the page says it, and where the gateway is in truth. */
  readonly server: string
  readonly env?: Readonly<Record<string, string>>
  /** Commands that happen before the page begins, once the gateway runs. */
  readonly before?: readonly string[]
}

const configuration = (port: number) => `trust_domain: example.org
issuer: https://localhost:${port}
listen: { address: '127.0.0.1:${port}' }
admin: { listen: 'unix:./admin.sock' }
store: sqlite:./apostille.db
seal: { file: ./seal.key }
authenticators:
  first: { type: join_token }
  ours: { type: spiffe, trust_domain: example.org }
identities:
  - name: machines
    from: first
    spiffe_id: /vm/\${proof.name}
    audiences: ['https://api.example.org']
    renewable_for: 30d
`

const installed: Scene = {
  start: () => 'serve --output json',
  files: (port) => ({ 'apostille.yaml': configuration(port) }),
  server: 'https://id.example.org',
  before: ['apostille bundle --out ca.pem'],
}

const asMachine = '--server https://id.example.org --ca-file ca.pem --token-file earlier'

const tried: Scene = {
  start: (port) => `dev --port ${port} --output json`,
  server: 'https://localhost:8443',
  env: {
    APOSTILLE_SERVER: 'https://localhost:8443',
    APOSTILLE_CA_FILE: '.apostille/ca.pem',
    APOSTILLE_TOKEN_FILE: '.apostille/token',
    APOSTILLE_CONFIG: '.apostille/apostille.yaml',
  },
}

export const scenes: Readonly<Record<string, Scene>> = {
  'docs/get-started.md': { ...tried, before: ['apostille svid jwt --audience demo'] },
  'docs/virtual-machines.md': installed,
  'docs/rotation.md': installed,
  'docs/compromise.md': installed,
  'docs/records.md': {
    ...installed,
    before: [
      'apostille bundle --out ca.pem',
      'apostille join-token create first --name build-7 --uses 3 --out earlier',
      `apostille svid x509 --out id ${asMachine}`,
      `apostille svid jwt --audience https://api.example.org ${asMachine}`,
      `apostille svid jwt --audience https://reports.example.org ${asMachine}`,
    ],
  },
}

const session = /^```console\n([\s\S]*?)^```$/gm

/** @returns the page as it should be */
export async function playPage(page: string, scene: Scene): Promise<string> {
  const written = readFileSync(join(root, page), 'utf8')
  await using stage = await openStage(scene)
  /** Of ids on the page: those of this run. */
  const ids = new Map<string, string>()
  let played = ''
  let end = 0
  for (const match of written.matchAll(session)) {
    const steps = readSession(match[1] ?? '')
    const shown: string[] = []
    for (const { command, output } of steps) {
      const seen = await stage.run(command.replace(anId, (id) => ids.get(id) ?? id))
      learnIds(ids, output, seen)
      shown.push(`$ ${command}\n${masked(seen) === masked(output) ? output : withFormerIds(seen, ids)}`)
    }
    played += `${written.slice(end, match.index)}\`\`\`console\n${shown.join('')}\`\`\``
    end = match.index + match[0].length
  }
  return played + written.slice(end)
}

interface Step {
  readonly command: string
  /** Ends in a line end, unless it is empty. */
  readonly output: string
}

function readSession(session: string): readonly Step[] {
  return [...session.matchAll(/^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)/gm)].map(([, command = '', output = '']) => ({
    command,
    output,
  }))
}

const anId = /(?<![\w-])(?:[0-9a-f]{16,64}|[\w-]{43})(?![\w-])/g
const aTime = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z/g
const aDuration = /\b\d+(?:d|h|m|s| s)\b(?: \d+[hms]\b)?/g

/** What is the same in each run. */
function masked(output: string): string {
  return output
    .replace(aTime, 'TIME')
    .replace(anId, 'ID')
    .replace(/\b[0-9a-f]{12}\b/g, 'DIGEST')
    .replace(aDuration, 'DURATION')
    .replace(/\d+ signed heads?/g, 'HEADS')
    .replace(/ {2,}/g, '  ')
}

function learnIds(ids: Map<string, string>, output: string, seen: string): void {
  const [former, present] = [output.match(anId) ?? [], seen.match(anId) ?? []]
  if (former.length !== present.length) return
  for (const [index, id] of former.entries()) ids.set(id, present[index] ?? id)
}

/** What came before on the page keeps its name. */
function withFormerIds(seen: string, ids: ReadonlyMap<string, string>): string {
  const former = new Map([...ids].map(([id, present]) => [present, id]))
  return seen.replace(anId, (id) => former.get(id) ?? id)
}

async function openStage({ start, files, server, env = {}, before = [] }: Scene) {
  const folder = mkdtempSync(join(tmpdir(), 'apostille-docs-'))
  const port = await freePort()
  const truly = (line: string) => line.replaceAll(server, `https://localhost:${port}`)
  const asShown = (line: string) => line.replaceAll(`https://localhost:${port}`, server).replaceAll(`${folder}/`, '')
  for (const [name, content] of Object.entries(files?.(port) ?? {})) writeFileSync(join(folder, name), content)
  const variables = {
    PATH: `${makePrograms(folder)}:${process.env['PATH'] ?? ''}`,
    HOME: folder,
    NO_COLOR: '1',
    NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/compile'),
  }
  const given = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, truly(value)]))
  const options = { cwd: folder, env: { ...variables, ...given } } as const
  const gateway = spawn('apostille', start(port).split(' '), { ...options, stdio: ['ignore', 'pipe', 'ignore'] })
  const stage = {
    /** Both streams, as a terminal shows them. */
    async run(command: string): Promise<string> {
      const child = spawn('bash', ['-c', `{ ${truly(command)}\n} 2>&1`], {
        ...options,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      return asShown(await text(child.stdout))
    },
    async [Symbol.asyncDispose]() {
      await stop(gateway)
      rmSync(folder, { recursive: true, force: true })
    },
  }
  try {
    await untilReady(gateway)
    for (const command of before) await stage.run(command)
    return stage
  } catch (error) {
    await stage[Symbol.asyncDispose]()
    throw error
  }
}

/** Our command under its own name, on the Node of this process. @returns the folders that belong into `PATH` */
function makePrograms(folder: string): string {
  const [bin, script] = [join(folder, '.bin'), join(folder, '.script')]
  for (const path of [bin, script]) mkdirSync(path)
  symlinkSync(join(root, 'src/cli/main.ts'), join(script, 'apostille'))
  writeFileSync(join(bin, 'apostille'), `#!/bin/sh\nexec '${process.execPath}' '${script}/apostille' "$@"\n`)
  chmodSync(join(bin, 'apostille'), 0o755)
  return `${bin}:${script}`
}

/** It says where it listens, as one JSON object. */
async function untilReady(gateway: ChildProcess): Promise<void> {
  let written = ''
  for await (const chunk of gateway.stdout ?? []) {
    written += String(chunk)
    if (written.endsWith('}\n')) return
  }
  throw new Error(`the gateway did not start: ${written}`)
}

async function stop(gateway: ChildProcess): Promise<void> {
  if (gateway.exitCode !== null || gateway.signalCode !== null) return
  const ended = once(gateway, 'exit')
  gateway.kill('SIGTERM')
  await ended
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  server.close()
  return port
}

if (import.meta.main)
  await runScript(async () => {
    for (const [page, scene] of Object.entries(scenes)) writeFileSync(join(root, page), await playPage(page, scene))
  })
