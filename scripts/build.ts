/**
 * Makes `dist/`: the command as two bundles, the library as modules with their types.
 *
 * Libraries are bundled into the command: what of them is not used (locales, other formats) then costs neither start nor
 * memory, and whoever installs the package installs nothing else. The library imports none.
 */
import { execFileSync } from 'node:child_process'
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'
import { bundledPackages, licencesOf, sbomOf } from './third-party.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

/**
 * An `import` of one of Node's own modules reads each of its exports, and three of those of `node:http` load all of Node's
 * `fetch`: an eighth of the time of a start. Asked for this way, exports that are made when they are read stay unmade, and
 * our own sources can not import these.
 */
const nodeModulesAtOnce: Plugin = {
  name: 'node-modules-at-once',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind, importer }) =>
      kind === 'import-statement' && importer.startsWith(join(root, 'src'))
        ? { path, namespace: 'at-once' }
        : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'at-once' }, ({ path }) => ({ contents: moduleOfNode(path) }))
  },
}

function moduleOfNode(name: string): string {
  const properties = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(name)))
  const names = properties.flatMap(([key, { get }]) => (get === undefined && key !== 'default' ? key : []))
  return `const all = process.getBuiltinModule('${name}'); export default all; export const { ${names.join(', ')} } = all`
}

const serving = ['serve', 'dev']

/**
 * Leaves out the commands of the other bundle: `src/cli/main.ts` chooses the one that has what was asked for.
 *
 * @param elsewhere The module in place of a command that is left out.
 */
function onlyCommands(chosen: (name: string) => boolean, elsewhere: (name: string) => string): Plugin {
  return {
    name: 'only-commands',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\/commands\// }, ({ path }) =>
        chosen(basename(path, '.ts')) ? undefined : { path: basename(path, '.ts'), namespace: 'elsewhere' },
      )
      onLoad({ filter: /.*/, namespace: 'elsewhere' }, ({ path }) => ({ contents: elsewhere(path) }))
      onResolve({ filter: /.*/, namespace: 'elsewhere' }, ({ path }) => ({ path, external: true }))
      onResolve({ filter: /^\.\/serving\.ts$/ }, ({ kind }) =>
        kind === 'dynamic-import' ? { path: './serving.js', external: true } : undefined,
      )
    },
  }
}

/** For `completion`, which describes every command. Chunks have a folder beside that of the bundles. */
const fromServing = (name: string) =>
  `import { commands } from '../cli/serving.js'; export const { define } = await commands['${name}'].load()`

const neverReached = () => "throw new Error('this command is in the other bundle')"

/**
 * What is loaded late comes after all that `serve` starts with, so it is built as something that imports `serve`: else
 * each combination of late files that share a source makes a chunk of its own, and a start finds and links dozens.
 */
const lateAfterServe: Plugin = {
  name: 'late-after-serve',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ path, kind, resolveDir }) =>
      kind === 'dynamic-import' && !path.endsWith('/serve.ts')
        ? { path: join(resolveDir, path), pluginData: lateAfterServe }
        : undefined,
    )
    onLoad({ filter: /\.ts$/ }, async ({ path, pluginData }) =>
      pluginData === lateAfterServe
        ? {
            loader: 'ts',
            contents: `${await readFile(path, 'utf8')}\nimport '${join(root, 'src/cli/commands/serve.ts')}'`,
          }
        : undefined,
    )
  },
}

const shared = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  // Not shipped, as they are more than the code: a build of the same commit gives them for a stack trace of a release.
  sourcemap: 'external',
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  // A copy of the project may have a link to installed packages.
  preserveSymlinks: true,
} as const satisfies BuildOptions

/** Libraries in CommonJS call `require` for Node's own modules. */
const requireForLibraries =
  "import { createRequire as createRequireForLibraries } from 'node:module'; const require = createRequireForLibraries(import.meta.url);"

await rm(dist, { recursive: true, force: true })
const command = {
  ...shared,
  // Google's library imports the first two for a transport of its own, and pg the others for Workers, for a binding of
  // libpq and for files of passwords: none of it is ever used.
  external: ['node-fetch', 'https-proxy-agent', 'pg-native', 'pg-cloudflare', 'pgpass'],
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  banner: { js: requireForLibraries },
} as const satisfies BuildOptions
const asked = await build({
  ...command,
  entryPoints: { 'cli/main': 'src/cli/main.ts' },
  plugins: [nodeModulesAtOnce, onlyCommands((name) => !serving.includes(name), fromServing)],
})
const served = await build({
  ...command,
  entryPoints: { 'cli/serving': 'src/cli/serving.ts' },
  plugins: [nodeModulesAtOnce, onlyCommands((name) => serving.includes(name), neverReached), lateAfterServe],
})
requireLateLibraries(served.metafile)
await writeAsAscii([asked.metafile, served.metafile])
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
await nameWhatIsShipped()
await chmod(join(dist, 'cli/main.js'), 0o755)
const packages = bundledPackages([asked.metafile, served.metafile])
await writeFile(join(dist, 'THIRD-PARTY-LICENSES.txt'), await licencesOf(packages))
await writeFile(join(dist, 'sbom.cdx.json'), await sbomOf(packages))

/**
 * Libraries of clouds are loaded at the first exchange there, those of OpenTelemetry where its variables are set: a server
 * starts with none of them.
 */
function requireLateLibraries({ outputs }: Metafile): void {
  const { imports = [] } = Object.values(outputs).find(({ entryPoint }) => entryPoint === 'src/cli/serving.ts') ?? {}
  const serve = Object.keys(outputs).filter((path) => outputs[path]?.entryPoint === 'src/cli/commands/serve.ts')
  const reached = new Set(serve)
  // A set goes on with what is added to it.
  for (const path of reached)
    for (const { path: next, kind } of [...(outputs[path]?.imports ?? []), ...imports])
      if (kind === 'import-statement') reached.add(next)
  const early = [...reached].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {})).find(isLate)
  if (serve.length !== 1 || early !== undefined) throw new Error(`serve starts with ${early ?? 'an unknown file'}`)
}

function isLate(input: string): boolean {
  return /node_modules\/(?:@aws-sdk|@smithy|@azure|google-auth-library|gaxios|@opentelemetry\/(?!api\/))/.test(input)
}

/**
 * One letter that is not ASCII makes Node keep the text of a whole module in two bytes a letter, which is a megabyte.
 * esbuild escapes what it can, and a regular expression it leaves: `\u` means the same there.
 */
async function writeAsAscii(metafiles: readonly Metafile[]): Promise<void> {
  for (const path of metafiles.flatMap(({ outputs }) => Object.keys(outputs)).filter((name) => name.endsWith('.js'))) {
    const text = await readFile(join(root, path), 'utf8')
    const ascii = text.replaceAll(/[^\0-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
    if (ascii !== text) await writeFile(join(root, path), ascii)
  }
}

/** Declarations still import sources, which are not shipped: some readers of types stop there. */
async function nameWhatIsShipped(): Promise<void> {
  const files = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith('.d.ts'))
  for (const file of files) {
    const text = await readFile(join(dist, file), 'utf8')
    await writeFile(join(dist, file), text.replaceAll(/(from |import\()'(\.[^']+)\.ts'/g, "$1'$2.js'"))
  }
}
