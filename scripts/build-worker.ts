/**
 * Builds the Worker: `dist/worker/`, split so that what few requests need is loaded with the first that does.
 *
 * @module
 */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'

const root = join(import.meta.dirname, '..')

/** Libraries leave the `node:` out, under which alone a Worker has these modules, and ask for them by `require`. */
const modulesOfNode: Plugin = {
  name: 'modules-of-node',
  setup({ onResolve, onLoad }) {
    const names = builtinModules.filter((name) => !name.startsWith('_')).join('|')
    onResolve({ filter: new RegExp(`^(?:node:)?(?:${names})$`) }, ({ path, kind }) => {
      const name = `node:${path.replace(/^node:/, '')}`
      return kind === 'require-call' ? { path: name, namespace: 'required' } : { path: name, external: true }
    })
    onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `import all from '${path}'; module.exports = all`,
    }))
  },
}

/**
 * What the clouds' libraries bring along and is never called here: transports, as their requests are sent by ours; the
 * search for credentials, as they are always given; what asks a browser which one it is, or opens one.
 */
const absentLibraries: Readonly<Record<string, string>> = {
  'https-proxy-agent': 'export const HttpsProxyAgent = undefined',
  'http-proxy-agent': 'export const HttpProxyAgent = undefined',
  'node-fetch': 'export default undefined',
  '@aws-sdk/credential-provider-node':
    "export const defaultProvider = () => () => Promise.reject(new Error('no credentials were given'))",
  bowser: 'export const parse = () => undefined',
  open: 'export default undefined',
}

const withoutLibraries: Plugin = {
  name: 'without-libraries',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(?:${Object.keys(absentLibraries).join('|')})$`)
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'absent' }))
    onLoad({ filter: /.*/, namespace: 'absent' }, ({ path }) => ({ contents: absentLibraries[path] ?? '' }))
  },
}

/**
 * Parts of libraries that no request needs and that nothing else leaves out: zod ties to each schema what makes a JSON
 * Schema of it. Their functions are there, and throw.
 */
const unusedParts = /zod\/v4\/core\/(?:to-json-schema|json-schema-processors)\.js$/

const noUnusedParts: Plugin = {
  name: 'no-unused-parts',
  setup({ onLoad }) {
    onLoad({ filter: unusedParts }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const declared = [...text.matchAll(/^export (?:const|function) (\w+)/gm)].map(([, name = '']) => name)
      const listed = [...text.matchAll(/^export \{(.+)\}/gm)].flatMap(([, list = '']) => list.split(','))
      const names = [...declared, ...listed.map((item) => item.trim().replace(/^.+ as /, ''))]
      const absent =
        "const absent = () => () => { throw new Error('this part of a library is left out of the Worker') }"
      return { contents: `${absent}; export { ${names.map((name) => `absent as ${name}`).join(', ')} }` }
    })
  },
}

const options = {
  absWorkingDir: root,
  // Nothing is written there: names of modules begin below it.
  outdir: 'dist/worker',
  write: false,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['workerd', 'worker', 'import'],
  target: 'es2024',
  external: ['cloudflare:*'],
  plugins: [modulesOfNode, withoutLibraries, noUnusedParts],
  chunkNames: 'chunks/[name]-[hash]',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
} as const satisfies BuildOptions

/** As Workers are given: the first is the entry. */
export interface WorkerModule {
  /** Such as `chunks/name.js`. */
  readonly name: string
  readonly contents: Uint8Array
}

export interface BuiltWorker {
  readonly modules: readonly WorkerModule[]
  readonly metafile: Metafile
}

/** @param entry Relative to the root of the project. */
export async function buildWorker(entry = 'src/runtime/server.worker.ts'): Promise<BuiltWorker> {
  const { outputFiles, metafile } = await build({ ...options, entryPoints: { index: entry } })
  const named = outputFiles.map(({ path, contents }) => ({
    name: relative(join(root, options.outdir), path),
    contents,
  }))
  const isEntry = ({ name }: WorkerModule) => name === 'index.js'
  return { modules: [...named.filter(isEntry), ...named.filter((module) => !isEntry(module))], metafile }
}

async function writeWorker(): Promise<void> {
  const folder = join(root, options.outdir)
  await rm(folder, { recursive: true, force: true })
  for (const { name, contents } of (await buildWorker()).modules) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), contents)
  }
}

if (import.meta.main) await writeWorker()
