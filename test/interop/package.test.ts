/** The package as it ships: its types in projects of others, and the part for everywhere on each runtime. */
import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { build, type Plugin } from 'esbuild'
import { beforeAll, expect, test } from 'vitest'
import { shells } from '../../src/cli/completion-scripts.ts'
import { formatJwk } from '../../src/protocol/jwk.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { freePort, mainFile } from '../cli/run-cli.ts'
import { makeTestKey } from '../support/certificate-authority.ts'
import { ecSigner, signToken } from '../support/raw-token.ts'
import type { Given } from './runtimes/everywhere.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run, runOk } from './support/command.ts'
import { type Packed, packProject } from './support/packed.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const root = join(import.meta.dirname, '../..')
const stack = cleanupAfterAll()
let folder: string
let packed: Packed

/** A project that installed the package, and the frameworks beside it. */
beforeAll(async () => {
  folder = await makeFolder(stack)
  packed = await packProject(stack)
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, 'apostille'), { recursive: true })
  await runOk('tar', ['-xzf', packed.tarball, '-C', join(modules, 'apostille'), '--strip-components=1'])
  for (const name of ['hono', 'express', 'fastify', 'undici', '@types', '@hono'])
    await symlink(join(root, 'node_modules', name), join(modules, name))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
}, 200_000)

/** What a package may hold; all else is a mistake. */
const shippedPaths = [
  /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^dist\/(?:index|node)\.(?:js|d\.ts)$/,
  /^dist\/(?:sdk|protocol)\/[\w./-]+\.(?:js|d\.ts)$/,
  /^dist\/cli\/(?:main|serving)\.js$/,
  /^dist\/chunks\/[\w.-]+-[A-Z0-9]{8}\.js$/,
  /^dist\/(?:THIRD-PARTY-LICENSES\.txt|sbom\.cdx\.json)$/,
  /^schema\/[\w.-]+\.json$/,
  /^docs\/(?!status\.md$)(?:[\w-]+\/)*[\w-]+\.md$/,
  /^deploy\/(?:README\.md|Containerfile|systemd\/apostille\.service|grafana\/apostille\.json|prometheus\/alerts\.yaml)$/,
  /^deploy\/(?:kustomize|helm)\/[\w./-]+\.(?:yaml|json|tpl|txt)$/,
]

test('it holds what is shipped and nothing else, in bounds', () => {
  const paths = packed.files.map(({ path }) => path)
  expect(paths.filter((path) => !shippedPaths.some((allowed) => allowed.test(path)))).toEqual([])
  expect(packed.files.find(({ path }) => path === 'dist/cli/main.js')).toMatchObject({ mode: 0o755 })
  // Seen: 1.8 MB and 8.0 MB.
  expect(packed.size).toBeLessThan(2_000_000)
  expect(packed.unpackedSize).toBeLessThan(9_000_000)
})

test.each(shells)('its completion for %s has the commands of both bundles', async (shell) => {
  const main = join(folder, 'node_modules/apostille/dist/cli/main.js')
  const script = await runOk(process.execPath, [main, 'completion', shell])
  expect(script).toBe(await runOk(process.execPath, [mainFile, 'completion', shell]))
  expect(script).toContain('serve')
})

test('each export has its code and its types, and whoever installs it installs nothing else', async () => {
  const manifest = JSON.parse(await readFile(join(folder, 'node_modules/apostille/package.json'), 'utf8'))
  const paths = new Set(packed.files.map(({ path }) => `./${path}`))
  const { './package.json': own, ...entries } = manifest.exports as Readonly<Record<string, Readonly<Entry> | string>>
  expect(own).toBe('./package.json')
  expect(Object.keys(entries)).toEqual(['.', './node', './hono', './express', './fastify'])
  for (const entry of Object.values(entries)) {
    expect(entry).toEqual({ types: expect.stringMatching(/\.d\.ts$/), default: expect.stringMatching(/\.js$/) })
    for (const path of Object.values(entry)) expect(paths).toContain(path)
  }
  expect(manifest).not.toHaveProperty('dependencies')
  expect(manifest).not.toHaveProperty('scripts.install')
  expect(manifest).not.toHaveProperty('scripts.postinstall')
})

interface Entry {
  readonly types: string
  readonly default: string
}

test('no file of it has a private key, or a path of the machine that made it', async () => {
  for (const { path } of packed.files) {
    const text = await readFile(join(folder, 'node_modules/apostille', path), 'latin1')
    expect(text, path).not.toMatch(/-----BEGIN [A-Z ]*PRIVATE KEY-----\\?n?\s*[A-Za-z0-9+/]{40}/)
    expect(text.includes(root) || text.includes(dirname(packed.tarball)), path).toBe(false)
  }
})

test('its bill of materials is valid, and names each package whose licence it ships', async () => {
  const library = await part('npm-package.sh', '@cyclonedx/cyclonedx-library', '10.3.0')
  const schemas = join(library, 'node_modules/@cyclonedx/cyclonedx-library/res/schema')
  const schema = async (name: string) => JSON.parse(await readFile(join(schemas, name), 'utf8'))
  const ajv = new Ajv({ strict: false, formats: { 'iri-reference': true, 'idn-email': true } })
  formats.default(ajv)
  ajv.addSchema(await schema('spdx.SNAPSHOT.schema.json'), 'http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json')
  ajv.addSchema(
    await schema('jsf-0.82.SNAPSHOT.schema.json'),
    'http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json',
  )
  const dist = join(folder, 'node_modules/apostille/dist')
  const bom = JSON.parse(await readFile(join(dist, 'sbom.cdx.json'), 'utf8'))

  const validate = ajv.compile(await schema('bom-1.5.SNAPSHOT.schema.json'))
  validate(bom)
  expect(validate.errors ?? []).toEqual([])

  expect(bom.metadata.component).toMatchObject({ type: 'application', name: 'apostille' })
  const licences = await readFile(join(dist, 'THIRD-PARTY-LICENSES.txt'), 'utf8')
  const named = licences.split(`\n${'-'.repeat(80)}\n\n`).map((text) => text.slice(0, text.indexOf('\n')))
  const components = bom.components as readonly { readonly name: string; readonly version: string }[]
  expect(components.map(({ name, version }) => `${name} ${version}`)).toEqual(named)
  expect(named.join('\n')).toMatch(/^hono \d.*^jose \d.*^zod \d/ms)
  for (const component of components)
    expect(component).toMatchObject({
      purl: expect.stringMatching(/^pkg:npm\//),
      hashes: [{ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) }],
      licenses: [expect.anything()],
    })
})

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
  const found = JSON.parse(
    await runOk(process.execPath, [join(attw, 'check.mjs'), packed.tarball]),
  ) as readonly Problem[]
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
