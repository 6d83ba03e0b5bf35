/**
 * What the bundles hold of others: their licence texts, as their terms ask, and a bill of materials for whoever looks for
 * known vulnerabilities. npm sees neither, as the package depends on nothing once it is built.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

const root = join(import.meta.dirname, '..')

/** Folders of the packages of which at least a byte is in an output, nested ones included; sorted. */
export function bundledPackages(metafiles: readonly Metafile[]): readonly string[] {
  const inputs = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap((output) =>
      Object.entries(output.inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
    ),
  )
  const folders = inputs.flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? [])
  return [...new Set(folders)].sort()
}

/** @throws {Error} where a package has no licence text */
export async function licencesOf(packages: readonly string[]): Promise<string> {
  const texts = packages.map(async (folder) => {
    const text =
      (await licenceIn(folder)) ?? (await licenceInReadme(folder)) ?? (await licenceOfSibling(folder, packages))
    if (text === undefined) throw new Error(`${folder} has no licence text`)
    const { name, version } = await manifestOf(folder)
    return `${name} ${version}\n\n${text}`
  })
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`)
}

async function licenceIn(folder: string): Promise<string | undefined> {
  const licence = (await readdir(join(root, folder))).find((file) => /^licen[cs]e/i.test(file))
  return licence === undefined ? undefined : readFile(join(root, folder, licence), 'utf8')
}

/** Some have it there and nowhere else. */
async function licenceInReadme(folder: string): Promise<string | undefined> {
  const readme = await readFile(join(root, folder, 'README.md'), 'utf8').catch(() => '')
  const [, section] = /^#+ licen[cs]e\s+(.*)$/ims.exec(readme) ?? []
  return section?.includes('Permission is hereby granted') ? section : undefined
}

/** Of another package from the same repository and under the same licence: some leave theirs out. */
async function licenceOfSibling(folder: string, packages: readonly string[]): Promise<string | undefined> {
  const origin = await originOf(folder)
  for (const sibling of packages) {
    const text = (await originOf(sibling)) === origin ? await licenceIn(sibling) : undefined
    if (text !== undefined) return text
  }
  return undefined
}

/** A package without a repository is like no other. */
async function originOf(folder: string): Promise<string> {
  const { license, repository } = await manifestOf(folder)
  return JSON.stringify([license, repository?.url?.replace(/^git\+/, '') ?? folder])
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly repository?: { readonly url?: string }
}

async function manifestOf(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'))
}

type Component = { readonly 'bom-ref': string; readonly name: string } & Readonly<Record<string, unknown>>

/** What is used of what `npm sbom` says. */
interface Sbom {
  readonly metadata: { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

/**
 * CycloneDX: what npm says of the lockfile, less what is not in the bundles. The same lockfile gives the same bytes, so it
 * has no time, no serial number and no version of npm.
 *
 * @throws {Error} where what is installed is not what the lockfile says
 * @see {@link https://cyclonedx.org/docs/1.5/json/ CycloneDX 1.5}
 */
export async function sbomOf(packages: readonly string[]): Promise<string> {
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--package-lock-only']
  const whole = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' })) as Sbom
  const refs = await Promise.all(packages.map(async (folder) => refOf(await manifestOf(folder))))
  const components = refs.map((ref) => {
    const component = whole.components.find((each) => each['bom-ref'] === ref)
    if (component === undefined) throw new Error(`${ref} is bundled, and not in the lockfile: run npm ci`)
    // Whatever npm calls it: it is in the package.
    return { ...component, scope: 'required', properties: [] }
  })
  // npm names it as the folder is named.
  const own = { ...whole.metadata.component, name: 'apostille' }
  const dependencies = whole.dependencies
    .filter(({ ref }) => refs.includes(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.includes(each)) }))
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { lifecycles: [{ phase: 'build' }], component: own },
    components,
    dependencies: [{ ref: own['bom-ref'], dependsOn: refs }, ...dependencies],
  }
  return `${JSON.stringify(bom, null, 2)}\n`
}

const refOf = ({ name, version }: Manifest) => `${name}@${version}`
