/** The package as it ships: its types in projects of others, and the part for everywhere on each runtime. */
import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { beforeAll, expect, test } from 'vitest'
import { formatJwk } from '../../src/protocol/jwk.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { freePort } from '../cli/run-cli.ts'
import { makeTestKey } from '../support/certificate-authority.ts'
import { ecSigner, signToken } from '../support/raw-token.ts'
import type { Given } from './runtimes/everywhere.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run, runOk } from './support/command.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const root = join(import.meta.dirname, '../..')
const stack = cleanupAfterAll()
let folder: string
let tarball: string

/** A project that installed the package, and the frameworks beside it. */
beforeAll(async () => {
  folder = await makeFolder(stack)
  const packed = await runOk('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: root,
    deadlineMs: 180_000,
  })
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n'))) as [{ readonly filename: string }]
  tarball = join(folder, filename)
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, 'apostille'), { recursive: true })
  await runOk('tar', ['-xzf', tarball, '-C', join(modules, 'apostille'), '--strip-components=1'])
  for (const name of ['hono', 'express', 'fastify', 'undici', '@types', '@hono'])
    await symlink(join(root, 'node_modules', name), join(modules, name))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
}, 200_000)

const program = `
import { type Client, createClient, verifyJwtSvid, authorizeId } from 'apostille'
import { createX509Source, createMtlsServer, createUndiciConnect, createClient as onNode } from 'apostille/node'
import { requireSvid as hono } from 'apostille/hono'
import { requireSvid as forExpress } from 'apostille/express'
import { requireSvid as forFastify } from 'apostille/fastify'
import { Hono } from 'hono'
import express from 'express'
import fastify from 'fastify'
import { Agent } from 'undici'

const client: Client = createClient({ server: 'https://id.example.org', token: 'x' })
const [jwt] = await client.getSvids([{ jwt: { audience: 'a' } }])
const token: string = jwt instanceof Error ? '' : jwt.token
const { spiffeId } = await verifyJwtSvid(token, { keys: [], audience: 'a' })
const path: string = spiffeId.path
const source = await createX509Source()
const authorize = authorizeId('spiffe://example.org/web')
const requirement = { x509: true, authorize }
new Hono().use(hono(requirement)).get('/', (c) => c.text(c.get('caller').proof + path))
const app = express().use(forExpress(requirement)).get('/', (request) => void request.caller?.proof)
createMtlsServer(source, { authorize }, app)
fastify().addHook('onRequest', forFastify(requirement)).get('/', async (request) => request.caller?.claims)
new Agent({ connect: createUndiciConnect(source, { authorize }) })
onNode({ source })
// @ts-expect-error a target has a name
client.getCredential(7)
`

test.each([
  ['nodenext', {}],
  ['bundler', { module: 'esnext', moduleResolution: 'bundler' }],
])('its types are right for a project that resolves as %s does', async (_, options) => {
  const compilerOptions = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: ['node'] }
  await writeFile(join(folder, 'program.ts'), program)
  // The libraries' own declarations are not ours to check; those of the package are, below.
  const config = { compilerOptions: { ...compilerOptions, ...options, skipLibCheck: true }, files: ['program.ts'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  expect(await run(process.execPath, [tsc, '-p', folder])).toMatchObject({ code: 0, stdout: '' })

  await writeFile(join(folder, 'own.ts'), "export * from 'apostille/node'\nexport * as all from 'apostille'\n")
  const strict = {
    compilerOptions: { ...compilerOptions, ...options, exactOptionalPropertyTypes: true },
    files: ['own.ts'],
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(strict))
  expect(await run(process.execPath, [tsc, '-p', folder])).toMatchObject({ code: 0, stdout: '' })
})

test('arethetypeswrong finds nothing wrong with its types', { timeout: buildDeadlineMs }, async () => {
  const attw = await part('npm-package.sh', '@arethetypeswrong/core', '0.18.5')
  const check = `
    import { readFileSync } from 'node:fs'
    import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
    const { problems } = await checkPackage(createPackageFromTarballData(readFileSync(process.argv[2])))
    console.log(JSON.stringify(problems.map(({ kind, entrypoint, resolutionKind, resolutionOption }) =>
      ({ kind, entrypoint, by: resolutionKind ?? resolutionOption }))))`
  await writeFile(join(attw, 'check.mjs'), check)
  const found = JSON.parse(await runOk(process.execPath, [join(attw, 'check.mjs'), tarball])) as readonly Problem[]
  // It is of ES modules only, and of this decade.
  const expected = (problem: Problem) => problem.by === 'node10' || problem.by === 'node16-cjs'
  expect(found.filter((problem) => !expected(problem))).toEqual([])
})

interface Problem {
  readonly kind: string
  readonly entrypoint?: string
  readonly by?: string
}

function given(): Given {
  const { privateKey, publicKeyInfo } = makeTestKey()
  const key = createPublicKey({ key: publicKeyInfo, format: 'der', type: 'spki' })
  const [issuer, audience] = ['https://id.example.org', 'https://api.example.org']
  const exp = Math.floor(Date.now() / 1000) + 600
  const claims = { iss: issuer, sub: 'spiffe://example.org/web', aud: audience, exp }
  return {
    issuer,
    audience,
    token: signToken({ alg: 'ES256', kid: 'k' }, claims, ecSigner(privateKey)),
    bundle: formatTrustBundle({
      trustDomain: parseTrustDomain('example.org'),
      x509Authorities: [],
      jwtAuthorities: [{ kid: 'k', key }],
    }),
    discovery: JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }),
    keys: JSON.stringify({ keys: [formatJwk(key, { kid: 'k', use: 'sig', alg: 'ES256' })] }),
  }
}

const shipped: Readonly<Record<string, string>> = {
  '../../../src/index.ts': 'apostille',
  '../../../src/sdk/middleware/hono.ts': 'apostille/hono',
}

const asShipped: Plugin = {
  name: 'as-shipped',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^\.\.\/\.\.\/\.\.\/src\// }, ({ path, kind }) =>
      resolve(shipped[path] ?? '', { kind, resolveDir: folder }),
    )
  },
}

/** One file, with what is of the runtime left to it. */
async function bundle(contents: string, name: string): Promise<string> {
  const outfile = join(folder, name)
  const stdin = { contents, loader: 'ts' as const, resolveDir: folder }
  await build({
    stdin,
    bundle: true,
    format: 'esm',
    external: ['node:*'],
    outfile,
    plugins: [asShipped],
  })
  return outfile
}

const everywhere = JSON.stringify(join(import.meta.dirname, 'runtimes/everywhere.ts'))
const print = () => `
  import { runEverywhere } from ${everywhere}
  console.log(JSON.stringify(await runEverywhere(${JSON.stringify(given())})))`

const expected = {
  offline: 'spiffe://example.org/web',
  byIssuer: 'spiffe://example.org/web',
  tampered: 'jws_signature',
  source: true,
  refused: 'proof_rejected',
  written: 1,
  middleware: [200, 401],
  asked: [
    'GET /v1/bundle',
    'GET /.well-known/openid-configuration',
    'GET /keys',
    'POST /v1/svid/jwt',
    'GET /v1/identities',
    'POST /v1/kv/data/web/a',
  ],
}

test.each<[string, () => Promise<readonly string[]>]>([
  ['Node', async () => [process.execPath]],
  [
    'Deno',
    async () => [
      join(await part('npm-package.sh', '@deno/linux-x64-glibc', '2.9.6'), 'node_modules/@deno/linux-x64-glibc/deno'),
      'run',
    ],
  ],
  [
    'Bun',
    async () => [
      join(await part('npm-package.sh', '@oven/bun-linux-x64', '1.4.4'), 'node_modules/@oven/bun-linux-x64/bin/bun'),
    ],
  ],
])('the part for everywhere works on %s', { timeout: buildDeadlineMs }, async (name, command) => {
  const [file = '', ...args] = await command()
  const script = await bundle(print(), `${name}.mjs`)
  expect(JSON.parse(await runOk(file, [...args, script], { cwd: folder }))).toEqual(expected)
})

test('the part for everywhere works on Workers', { timeout: buildDeadlineMs }, async () => {
  const name = '@cloudflare/workerd-linux-64'
  const workerd = join(await part('npm-package.sh', name, '1.20261117.1'), 'node_modules', name, 'bin/workerd')
  await bundle(
    `import { runEverywhere } from ${everywhere}
     export default { fetch: async () => Response.json(await runEverywhere(${JSON.stringify(given())})) }`,
    'worker.mjs',
  )
  const port = await freePort()
  await writeFile(
    join(folder, 'worker.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
     const config :Workerd.Config = (
       services = [(name = "main", worker = (
         modules = [(name = "worker", esModule = embed "worker.mjs")],
         compatibilityDate = "2026-08-01",
         compatibilityFlags = ["nodejs_compat"],
       ))],
       sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
     );`,
  )
  const child = spawn(workerd, ['serve', join(folder, 'worker.capnp'), '--verbose'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  stack.defer(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('workerd ended')))
  ended.catch(() => undefined)
  const answer = expect.poll(async () => (await fetch(`http://127.0.0.1:${port}/`)).json(), {
    timeout: 20_000,
    interval: 200,
  })
  await Promise.race([answer.toEqual(expected), ended])
})
