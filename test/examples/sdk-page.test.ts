/** The code of docs/sdk.md: all of it has the types that it says, and what is marked runs and prints what the page shows. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build, type Plugin } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SdkGateway, startSdkGateway } from '../support/sdk-gateway.ts'

const root = join(import.meta.dirname, '../..')
// Below the project, so that frameworks are found as in a project that installed them.
const folder = join(root, 'node_modules/.cache', `sdk-page-${process.pid}`)
const run = promisify(execFile)

const sources: Readonly<Record<string, string>> = {
  apostille: 'src/index.ts',
  'apostille/node': 'src/node.ts',
  'apostille/hono': 'src/sdk/middleware/hono.ts',
  'apostille/express': 'src/sdk/middleware/express.node.ts',
  'apostille/fastify': 'src/sdk/middleware/fastify.node.ts',
}

const page = readFileSync(join(root, 'docs/sdk.md'), 'utf8')
const programs = [...page.matchAll(/```ts( run)?\n(.*?)```(?:\n\n```text\n(.*?)```)?/gs)].map(
  ([, mark, code = '', output]) => ({ code, output, runs: mark !== undefined }),
)
const running = programs.flatMap(({ runs, code, output }) =>
  runs ? [[/\b(?:create|verify)\w+(?=\()/.exec(code)?.[0] ?? 'a program', code, output] as const] : [],
)

const fromSources: Plugin = {
  name: 'from-sources',
  setup({ onResolve }) {
    onResolve({ filter: /^apostille(?:\/|$)/ }, ({ path }) => ({ path: join(root, sources[path] ?? '') }))
  },
}

let world: SdkGateway

beforeAll(async () => {
  mkdirSync(folder, { recursive: true })
  world = await startSdkGateway({
    identities: [
      {
        spiffe_id: '/${proof.subject}',
        from: 'ci',
        when: 'true',
        audiences: ['https://api.example.org', 'https://db.example.org'],
      },
    ],
    policies: [{ permit: ['read', 'write'], when: "request.path.startsWith('web/')" }],
    targets: {},
  })
})

afterAll(async () => {
  await world?.close()
  rmSync(folder, { recursive: true, force: true })
})

test('there is code to look at', () => {
  expect(programs.length).toBeGreaterThan(10)
  expect(running.length).toBeGreaterThan(4)
})

test('all of it has the types that it says', async () => {
  for (const [at, { code }] of programs.entries()) writeFileSync(join(folder, `program-${at}.ts`), code)
  const paths = Object.fromEntries(Object.entries(sources).map(([name, file]) => [name, [join(root, file)]]))
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { paths, allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false },
    include: ['*.ts'],
    exclude: [],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { stdout } = await run(process.execPath, [tsc, '-p', folder]).catch(
    (error: { readonly stdout: string }) => error,
  )
  expect(stdout).toBe('')
})

test.each(running)('%s runs, and prints what the page shows', async (_, code, output) => {
  const { server, caFile } = world.optionsOf('web')
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, world.tokenOf('web'))
  const outfile = join(folder, 'program.mjs')
  await build({
    stdin: { contents: code, loader: 'ts', resolveDir: root },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    plugins: [fromSources],
    outfile,
  })
  const env = { APOSTILLE_SERVER: server, APOSTILLE_CA_FILE: caFile, APOSTILLE_TOKEN_FILE: tokenFile }
  expect(await run(process.execPath, [outfile], { env, timeout: 20_000 })).toEqual({ stdout: output, stderr: '' })
})
