/** What a bundler takes of the package for one import. */
import { join } from 'node:path'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

/** Bytes of the minified bundle, the modules of ours that are in it, and what it imports of the runtime. */
async function bundle(source: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: root, loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    external: ['node:*'],
    write: false,
    metafile: true,
  })
  const [output] = Object.values(metafile.outputs)
  return {
    bytes: outputFiles[0]?.contents.length ?? 0,
    modules: Object.keys(output?.inputs ?? {}),
    imports: (output?.imports ?? []).map(({ path }) => path),
  }
}

const only = (name: string, from = './src/index.ts') => bundle(`export { ${name} } from '${from}'`)

test.each([
  ['createClient', 9_000, []],
  ['createJwtSource', 10_000, []],
  ['ApostilleError', 500, []],
  ['authorizeId', 2_000, []],
  ['fromApostille', 11_000, []],
  ['verifyJwtSvid', 12_000, ['node:buffer', 'node:crypto']],
  ['createIssuerKeys', 16_000, ['node:buffer', 'node:crypto']],
])('%s alone is at most %d bytes and needs of the runtime: %s', async (name, limit, needed) => {
  const { bytes, imports, modules } = await only(name)
  expect(bytes, modules.join(' ')).toBeLessThanOrEqual(limit)
  expect([...new Set(imports)].filter((path) => !needed.includes(path))).toEqual([])
})

test('what is for everywhere needs nothing of Node but node:crypto and node:buffer', async () => {
  const { imports } = await bundle("export * from './src/index.ts'; export * from './src/sdk/middleware/hono.ts'")
  expect(new Set(imports)).toEqual(new Set(['node:crypto', 'node:buffer']))
})

test('a client of Node has none of the sources of X.509-SVIDs in it', async () => {
  const { modules } = await only('createClient', './src/node.ts')
  expect(modules).toContain('src/sdk/with-files.node.ts')
  expect(modules.filter((file) => /x509|mtls|certificate/.test(file))).toEqual([])
})
