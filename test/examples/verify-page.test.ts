/** docs/verify-jwt-svid.md shows the programs that test/interop/verify-jwt-svid.test.ts runs, with what they depend on. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { verifierPrograms } from '../interop/support/token-verifiers.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/verify-jwt-svid.md'), 'utf8')
const read = (file: string) => readFileSync(join(root, 'examples/06-verify-jwt-svid', file), 'utf8')

/** As it is in a project that has installed the package. */
function asShown(text: string): string {
  return text
    .replace("// In a project of yours: from 'apostille/node'\n", '')
    .replace('../../../src/node.ts', 'apostille/node')
}

test.each(verifierPrograms)('$name is shown as it is', ({ source }) => {
  expect(page).toContain(`\n${asShown(read(source))}\`\`\`\n`)
})

test.each([
  ['Python', `PyJWT[crypto]==${/^PyJWT==(.*)$/m.exec(read('python/requirements.txt'))?.[1]}`],
  [
    'Go',
    [...read('go/go.mod').matchAll(/^\t(\S+) (v\S+)$/gm)].map(([, name, version]) => `${name}@${version}`).join(' '),
  ],
  [
    'Java',
    (/ *<dependency>.*?<\/dependency>\n/s.exec(read('java/pom.xml'))?.[0] ?? 'nothing').replaceAll(/^ {4}/gm, ''),
  ],
  ['Rust', /^\[dependencies\]\n.*/ms.exec(read('rust/Cargo.toml'))?.[0] ?? 'nothing'],
])('what the program in %s depends on is shown as it is', (_, dependency) => {
  expect(page).toContain(dependency)
})
