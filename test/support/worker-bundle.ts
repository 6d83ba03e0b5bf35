/**
 * What the Worker is made of: its modules, apart by whether they come with a cloud alone: an exchange with it, or its store of secrets.
 *
 * @module
 */
import { gzipSync } from 'node:zlib'
import type { Metafile } from 'esbuild'
import type { BuiltWorker } from '../../scripts/build-worker.ts'

type Output = Metafile['outputs'][string]

export interface WorkerBundle {
  /** As the platform counts it: compressed, in bytes. */
  readonly size: (part: Part) => number
  /** Modules of the runtime that are imported. */
  readonly runtimeModules: (part: Part) => readonly string[]
  /** Whose code it is, such as `node_modules/yaml` or `src/core`. */
  readonly sources: (part: Part) => readonly string[]
}

/** What any request needs; with it what operators, D1 and documents need; with it the clouds. */
export type Part = 'for every request' | 'without clouds' | 'whole'

export function openBundle({ modules, metafile: { outputs } }: BuiltWorker): WorkerBundle {
  const sizes = new Map(modules.map(({ name, contents }) => [`dist/worker/${name}`, gzipSync(contents).length]))
  const all = Object.keys(outputs)
  const clouds = all.filter((path) =>
    /^src\/adapters\/(?:exchangers|destinations)\//.test(outputs[path]?.entryPoint ?? ''),
  )
  const entry = all.filter((path) => outputs[path]?.entryPoint === 'src/runtime/server.worker.ts')
  const parts: Readonly<Record<Part, readonly string[]>> = {
    'for every request': reach(outputs, entry, ({ kind }) => kind === 'import-statement'),
    'without clouds': reach(outputs, entry, ({ path }) => !clouds.includes(path)),
    whole: all,
  }
  const outputsOf = (part: Part): readonly Output[] => parts[part].flatMap((path) => outputs[path] ?? [])
  return {
    size: (part) => parts[part].reduce((sum, path) => sum + (sizes.get(path) ?? Number.NaN), 0),
    runtimeModules: (part) =>
      unique(outputsOf(part).flatMap(({ imports }) => imports.flatMap((used) => (used.external ? used.path : [])))),
    sources: (part) => unique(outputsOf(part).flatMap(({ inputs }) => Object.keys(inputs).map(ownerOf))),
  }
}

/** All that is loaded from there on. */
function reach(
  outputs: Metafile['outputs'],
  from: readonly string[],
  follows: (used: Output['imports'][number]) => boolean,
): readonly string[] {
  const reached = new Set(from)
  // A set goes on with what is added to it.
  for (const path of reached)
    for (const used of outputs[path]?.imports ?? [])
      if (Object.hasOwn(outputs, used.path) && follows(used)) reached.add(used.path)
  return [...reached]
}

function ownerOf(input: string): string {
  return (
    /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(input)?.[1] ?? input.split('/').slice(0, 2).join('/')
  )
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort()
}
