/**
 * A pod as its manifest describes it, run as a program of this computer: the same command and variables, with the places of
 * the run put in.
 *
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAll } from 'js-yaml'
import { issuer } from './cloud-stand-in.ts'
import { commandLine } from './gateway.ts'
import type { Program } from './programs.ts'
import type { Scene } from './scene.ts'

export interface Pod {
  readonly serviceAccount: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Files of its config maps, by path. */
  readonly files: Readonly<Record<string, string>>
  /** Where its token of the cluster is, and whom that is for. */
  readonly token: { readonly path: string; readonly audience: string }
}

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: { readonly template: { readonly spec: PodSpec } }
}

interface PodSpec {
  readonly serviceAccountName: string
  readonly containers: readonly {
    readonly command: readonly string[]
    readonly env: readonly { readonly name: string; readonly value: string }[]
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  }[]
  readonly volumes: readonly {
    readonly name: string
    readonly configMap?: { readonly name: string }
    readonly projected?: {
      readonly sources: readonly {
        readonly serviceAccountToken?: { readonly audience: string; readonly path: string }
      }[]
    }
  }[]
}

/** The pod of the one Deployment or Job in a file of manifests. @throws when there is none, or it has no token */
export async function readPod(file: string): Promise<Pod> {
  const manifests = loadAll(await readFile(file, 'utf8')) as Manifest[]
  const spec = manifests.find(({ spec }) => spec?.template !== undefined)?.spec?.template.spec
  const [container] = spec?.containers ?? []
  if (spec === undefined || container === undefined) throw new Error(`${file} has no pod`)
  const pathOf = (volume: string) => container.volumeMounts.find(({ name }) => name === volume)?.mountPath ?? ''
  const tokens = spec.volumes.flatMap(({ name, projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken: token }) =>
      token ? [{ path: `${pathOf(name)}/${token.path}`, audience: token.audience }] : [],
    ),
  )
  const [token] = tokens
  if (token === undefined) throw new Error(`the pod in ${file} has no token`)
  const files = spec.volumes.flatMap(({ name, configMap }) => {
    const data = manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMap?.name)?.data
    return Object.entries(data ?? {}).map(([file, text]) => [`${pathOf(name)}/${file}`, text] as const)
  })
  return {
    serviceAccount: spec.serviceAccountName,
    command: container.command,
    env: Object.fromEntries(container.env.map(({ name, value }) => [name, value])),
    files: Object.fromEntries(files),
    token,
  }
}

export interface PodPlaces {
  /** Holds the programs of the example. */
  readonly programs: string
  /** Of all certificates of the run; in a cluster they are of public authorities. */
  readonly caFile: string
  /** What else is elsewhere here than in a cluster: what stands in the manifest, and what is put there. */
  readonly elsewhere?: Readonly<Record<string, string>>
  /** Variables that a cluster does not need. */
  readonly more?: Readonly<Record<string, string>>
}

/** @param serviceAccount Whose token the pod has; its own by default. */
export async function startPod(
  scene: Scene,
  pod: Pod,
  places: PodPlaces,
  serviceAccount = pod.serviceAccount,
): Promise<Program> {
  const moved: Record<string, string> = {
    ...places.elsewhere,
    [issuer]: scene.gateway.url,
    [pod.token.path]: scene.cluster.tokenFile(serviceAccount),
  }
  for (const [index, [path, text]] of Object.entries(pod.files).entries()) {
    const file = join(scene.folder, `pod-file-${index}`)
    await writeFile(file, putIn(text, moved))
    moved[path] = file
  }
  const env = Object.fromEntries(Object.entries(pod.env).map(([name, value]) => [name, putIn(value, moved)]))
  return scene.start({
    name: serviceAccount,
    command: commandOf(pod.command, places.programs, moved),
    env: { NODE_EXTRA_CA_CERTS: places.caFile, APOSTILLE_CA_FILE: places.caFile, ...env, ...places.more },
  })
}

function putIn(text: string, moved: Readonly<Record<string, string>>): string {
  return Object.entries(moved).reduce((changed, [from, to]) => changed.replaceAll(from, to), text)
}

/** In the image, `node` and `apostille` are on the path and the program is in the working directory. */
function commandOf(
  words: readonly string[],
  programs: string,
  moved: Readonly<Record<string, string>>,
): readonly [string, ...string[]] {
  const found = words.map((word) => {
    if (word === 'apostille') return commandLine
    if (word === 'node') return process.execPath
    return word.endsWith('.ts') ? join(programs, word) : putIn(word, moved)
  })
  const [first = process.execPath, ...rest] = found
  return [first, ...rest]
}
