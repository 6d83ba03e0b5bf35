/**
 * `npm run release -- [--out DIR] [--skip-check] [--publish]`: makes what a release consists of, in `DIR` (default `release/`):
 * the package, its bill of materials and the SHA-256 sums of both. It says what would be published, and publishes nothing
 * without `--publish`, which works in CI alone: there npm gets a token of the job and signs where the package came from.
 *
 * @see {@link https://docs.npmjs.com/trusted-publishers npm: trusted publishing}
 * @module
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runScript } from './script-failure.ts'

const root = join(import.meta.dirname, '..')

interface Manifest {
  readonly name: string
  readonly version: string
  readonly repository?: { readonly url?: string }
}

interface Packed {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly entryCount: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: join(root, 'release') },
      'skip-check': { type: 'boolean', default: false },
      publish: { type: 'boolean', default: false },
    },
  })
  const manifest: Manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  requireCleanTree('commit or stash them first')
  requireNotes(manifest.version, await readFile(join(root, 'CHANGELOG.md'), 'utf8'))
  if (values.publish) requirePublishable(manifest, values['skip-check'])
  if (!values['skip-check']) execFileSync('npm', ['run', 'check'], { cwd: root, stdio: 'inherit' })

  const out = resolve(values.out)
  const files = await make(out, manifest)
  if (!values.publish) {
    console.log(`\nA dry run: ${files.join(', ')} are in ${out}. In CI, with --publish, this would run:`)
    console.log(`  npm ${publishArguments(out, files).join(' ')}`)
    return
  }
  execFileSync('npm', publishArguments(out, files), { cwd: root, stdio: 'inherit' })
}

/** Names of the files, the package first. */
async function make(out: string, { name, version }: Manifest): Promise<readonly string[]> {
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  const said = execFileSync('npm', ['pack', '--json', '--pack-destination', out], { cwd: root, encoding: 'utf8' })
  const [packed] = JSON.parse(said.slice(said.indexOf('[\n'))) as [Packed]
  requireCleanTree('what is generated differs from what is committed: run `npm run build` and commit')

  const sbom = `${name}-${version}.cdx.json`
  await copyFile(join(root, 'dist/sbom.cdx.json'), join(out, sbom))
  const sums = await Promise.all(
    [packed.filename, sbom].map(async (file) => `${await sha256(join(out, file))}  ${file}\n`),
  )
  await writeFile(join(out, 'SHA256SUMS'), sums.join(''))
  console.log(`${name} ${version}: ${packed.entryCount} files, ${packed.size} bytes, ${packed.unpackedSize} unpacked`)
  process.stdout.write(sums.join(''))
  return [packed.filename, sbom, 'SHA256SUMS']
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

const publishArguments = (out: string, [tarball = '']: readonly string[]) => [
  ...['publish', join(out, tarball), '--provenance', '--access', 'public'],
]

function requireCleanTree(remedy: string): void {
  const changes = git('status', '--porcelain')
  if (changes !== '') throw new Error(`the working tree has changes: ${remedy}\n${changes}`)
}

function requireNotes(version: string, changelog: string): void {
  const headings = changelog.split('\n').flatMap((line) => /^## \[?([^\]\s]+)/.exec(line)?.[1] ?? [])
  if (headings.includes(version)) return
  throw new Error(`CHANGELOG.md has no section for ${version}: add \`## ${version} - YYYY-MM-DD\` above what it brings`)
}

/** What npm would refuse after minutes, or what it would take and nobody could take back. */
function requirePublishable({ version, repository }: Manifest, skipsCheck: boolean): void {
  if (skipsCheck) throw new Error('--skip-check is for dry runs: leave it out to publish')
  if (process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] === undefined)
    throw new Error(
      '--publish works in a CI job with the permission `id-token: write`: push the tag, and let the workflow do it',
    )
  if (repository?.url === undefined)
    throw new Error('package.json has no repository.url, which provenance is compared with: add it')
  if (!git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`))
    throw new Error(`the commit has no tag v${version}: tag what is to be published`)
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trimEnd()
}

await runScript(main)
