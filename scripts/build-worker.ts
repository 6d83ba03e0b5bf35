/**
 * Builds the Worker: `dist/worker/`, split so that what few requests need is loaded with the first that does.
 *
 * @module
 */

import { builtinModules } from 'node:module'
import { join } from 'node:path'
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
  external: ['cloudflare:*', 'node-fetch', 'https-proxy-agent'],
  plugins: [modulesOfNode],
  chunkNames: 'chunks/[name]-[hash]',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
} as const satisfies BuildOptions

/** @param outdir Relative to the root of the project, or absolute. */
export async function buildWorker(outdir: string): Promise<Metafile> {
  const { metafile } = await build({ ...workerOptions, outdir })
  return metafile
}

if (import.meta.main) await buildWorker('dist/worker')
