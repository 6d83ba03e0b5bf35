/**
 * Builds the Worker: `dist/worker/`, split so that what few requests need is loaded with the first that does.
 *
 * @module
 */

import { readFile, rm } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join, resolve } from 'node:path'
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

/** Transports of the clouds' libraries that are never used, as their requests are sent by ours. */
const noTransports: Plugin = {
  name: 'no-transports',
  setup({ onResolve, onLoad }) {
    const filter = /^(?:https?-proxy-agent|node-fetch)$/
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'no-transport' }))
    onLoad({ filter: /.*/, namespace: 'no-transport' }, () => ({
      contents: 'export default undefined; export const HttpsProxyAgent = undefined, HttpProxyAgent = undefined',
    }))
  },
}

/** zod ties to each schema what makes a JSON Schema of it, 18 kB that no request needs: the documents are made beforehand. */
const noJsonSchemas: Plugin = {
  name: 'no-json-schemas',
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/core\/(?:to-json-schema|json-schema-processors)\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const names = [...text.matchAll(/^export (?:const|function) (\w+)/gm)].map(([, name]) => name)
      const absent = "const absent = () => () => { throw new Error('no JSON Schema is made here') }"
      return {
        contents: `${absent}; export { ${[...names, 'process'].map((name) => `absent as ${name}`).join(', ')} }`,
      }
    })
  },
}

export const workerOptions = {
  absWorkingDir: root,
  entryPoints: { index: 'src/runtime/server.worker.ts' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['workerd', 'worker', 'import'],
  target: 'es2024',
  external: ['cloudflare:*'],
  plugins: [modulesOfNode, noTransports, noJsonSchemas],
  chunkNames: 'chunks/[name]-[hash]',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
} as const satisfies BuildOptions

/** @param outdir Relative to the root of the project, or absolute; what is there goes. */
export async function buildWorker(outdir: string): Promise<Metafile> {
  await rm(resolve(root, outdir), { recursive: true, force: true })
  const { metafile } = await build({ ...workerOptions, outdir })
  return metafile
}

if (import.meta.main) await buildWorker('dist/worker')
