/** `npm run release` in a repository of its own, and the workflow that runs it. */
import { createHash } from 'node:crypto'
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run, runOk } from './support/command.ts'
import { copyProject } from './support/packed.ts'

const stack = cleanupAfterAll()
let project: string
let out: string
let version: string

beforeAll(async () => {
  const folder = await makeFolder(stack)
  project = join(folder, 'project')
  out = join(folder, 'out')
  await copyProject(project)
  version = JSON.parse(await readFile(join(project, 'package.json'), 'utf8')).version
  await git('init', '--quiet')
  await appendFile(join(project, '.git/info/exclude'), '/node_modules\n')
  await write('CHANGELOG.md', `# Changelog\n\n## ${version} - 2026-12-01\n\n- All of it.\n`)
  await git('add', '--all')
  await git(...author, 'commit', '--quiet', '--message', 'a release')
})

beforeEach(() => git('reset', '--quiet', '--hard'))

const author = ['-c', 'user.name=Test', '-c', 'user.email=test@example.org', '-c', 'commit.gpgsign=false']
const git = (...args: readonly string[]) => runOk('git', ['-C', project, ...args])
const write = (name: string, text: string) => writeFile(join(project, name), text)
const release = (...args: readonly string[]) =>
  run(process.execPath, ['scripts/release.ts', '--out', out, ...args], {
    cwd: project,
    env: { ACTIONS_ID_TOKEN_REQUEST_URL: '' },
    deadlineMs: 180_000,
  })

async function setVersion(version: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'))
  await write('package.json', JSON.stringify({ ...manifest, version }))
}

test('a tree with changes is refused, and what changed is named', async () => {
  await write('src/left-over.ts', '')
  const { code, stderr } = await release()
  await git('clean', '--quiet', '--force')
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: the working tree has changes: commit .*\n\?\? src\/left-over\.ts\n$/)
})

test('a version that the changelog does not have is refused', async () => {
  await setVersion('9.9.0')
  await git(...author, 'commit', '--quiet', '--all', '--message', 'a version')
  const { code, stderr } = await release()
  await git('reset', '--quiet', '--hard', 'HEAD~1')
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('CHANGELOG.md has no section for 9.9.0'),
  })
})

test.each([
  ['without its checks', ['--skip-check'], {}, '--skip-check is for dry runs'],
  ['outside CI', [], {}, 'id-token: write'],
  ['from a repository that is not named', [], { ACTIONS_ID_TOKEN_REQUEST_URL: 'x' }, 'no repository.url'],
])('nothing is published %s', async (_, args, env, reason) => {
  const options = { cwd: project, env }
  const { code, stderr } = await run(process.execPath, ['scripts/release.ts', '--publish', ...args], options)
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(reason) })
})

test('by default it makes the package, its bill of materials and their sums, and says what it would publish', async () => {
  const { code, stdout, stderr } = await release('--skip-check')

  expect(code, stderr).toBe(0)
  const [tarball, sbom] = [`apostille-${version}.tgz`, `apostille-${version}.cdx.json`]
  expect((await readdir(out)).sort()).toEqual(['SHA256SUMS', sbom, tarball])
  const sums = await Promise.all([tarball, sbom].map(async (file) => `${await sha256(file)}  ${file}\n`))
  expect(await readFile(join(out, 'SHA256SUMS'), 'utf8')).toBe(sums.join(''))
  expect(JSON.parse(await readFile(join(out, sbom), 'utf8')).metadata.component.version).toBe(version)
  expect(stdout).toContain(`npm publish ${join(out, tarball)} --provenance --access public\n`)

  // The same commit gives the same bytes.
  await release('--skip-check')
  expect(await readFile(join(out, 'SHA256SUMS'), 'utf8')).toBe(sums.join(''))
}, 400_000)

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(out, file)))
    .digest('hex')
}

interface Workflow {
  readonly permissions: object
  readonly jobs: { readonly release: { readonly permissions: object; readonly steps: readonly Step[] } }
}

interface Step {
  readonly uses?: string
  readonly run?: string
}

test('the workflow publishes by the identity of its job, holds no secret, and names versions of actions', async () => {
  const text = await readFile(join(import.meta.dirname, '../../.github/workflows/release.yml'), 'utf8')
  const { permissions, jobs } = load(text) as Workflow
  expect(permissions).toEqual({})
  expect(Object.keys(jobs)).toEqual(['release'])
  expect(jobs.release.permissions).toEqual({ contents: 'write', 'id-token': 'write' })
  expect(text).not.toContain('secrets.')
  const { steps } = jobs.release
  for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$/)
  expect(steps.map((step) => step.run).filter(Boolean)).toContainEqual(expect.stringContaining('npm run release -- '))
  const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'))
  expect(manifest.publishConfig).toEqual({
    access: 'public',
    provenance: true,
    registry: 'https://registry.npmjs.org/',
  })
})
