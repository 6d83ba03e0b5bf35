/**
 * Builds `dist/`: the library, and the command as split bundles, so that a command loads only what it uses.
 *
 * Libraries are bundled too: what of them is not used (locales, other formats) then costs neither start nor memory.
 */
import { execFileSync } from 'node:child_process'
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildOptions, build, type Metafile } from 'esbuild'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

const shared = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
} as const satisfies BuildOptions

/** Libraries in CommonJS call `require` for Node's own modules. */
const requireForLibraries =
  "import { createRequire as createRequireForLibraries } from 'node:module'; const require = createRequireForLibraries(import.meta.url);"

await rm(dist, { recursive: true, force: true })
const library = await build({ ...shared, entryPoints: { index: 'src/index.ts' } })
const command = await build({
  ...shared,
  entryPoints: { 'cli/main': 'src/cli/main.ts' },
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  banner: { js: requireForLibraries },
})
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
await chmod(join(dist, 'cli/main.js'), 0o755)
await writeFile(join(dist, 'THIRD-PARTY-LICENSES.txt'), await licencesOf([library.metafile, command.metafile]))

/** The licence texts of what is bundled, as their terms ask. */
async function licencesOf(metafiles: readonly Metafile[]): Promise<string> {
  const inputs = metafiles.flatMap((metafile) => Object.keys(metafile.inputs))
  const packages = new Set(inputs.flatMap((input) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []))
  const texts = [...packages].sort().map(async (folder) => {
    const licence = (await readdir(join(root, folder))).find((file) => /^licen[cs]e/i.test(file))
    if (licence === undefined) throw new Error(`${folder} has no licence text`)
    return `${folder.slice('node_modules/'.length)}\n\n${await readFile(join(root, folder, licence), 'utf8')}`
  })
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`)
}
