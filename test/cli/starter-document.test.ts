import { load } from 'js-yaml'
import { expect, test } from 'vitest'
import { formatStarterDocument } from '../../src/cli/starter-document.ts'
import { commonQuestions, questionsFor, type StarterName, starterNames } from '../../src/cli/starter-sources.ts'
import { quoteYaml } from '../../src/cli/yaml-text.ts'
import { checkText } from '../../src/runtime/check.node.ts'

const answers = Object.fromEntries(
  [...commonQuestions, ...questionsFor(starterNames)].map(({ flag, example }) => [flag, example]),
)

const write = (sources: readonly StarterName[], more: Partial<Parameters<typeof formatStarterDocument>[0]> = {}) =>
  formatStarterDocument({ schema: './schema.json', listen: '0.0.0.0:8443', answers, sources, ...more })

/** Every set of sources but the empty one. */
function subsets(): readonly (readonly StarterName[])[] {
  return Array.from({ length: 2 ** starterNames.length - 1 }, (_, index) =>
    starterNames.filter((_name, bit) => ((index + 1) & (1 << bit)) !== 0),
  )
}

test('whatever it is for, it passes the check', async () => {
  for (const sources of subsets()) {
    const { ok, diagnostics } = await checkText(write(sources), '/nowhere/apostille.yaml')
    expect({ sources, ok }, JSON.stringify(diagnostics)).toEqual({ sources, ok: true })
    // What is to be brought there first, and nothing else.
    for (const { message } of diagnostics) expect(message).toBe('trust-bundles/spire.example.json is not there')
  }
})

test('what stands in comments is good as well, once it is wanted', async () => {
  const text = write(['vm']).replace(/^# (?=admin: |metrics: )/gm, '')
  expect(load(text)).toMatchObject({ admin: { console: '127.0.0.1:8445' }, metrics: { listen: '0.0.0.0:9464' } })
  expect(await checkText(text, '/nowhere/apostille.yaml')).toMatchObject({ ok: true })
})

test('editors find the schema by its first line', () => {
  expect(write(['vm'])).toMatch(/^# yaml-language-server: \$schema=\.\/schema\.json\n/)
})

test('no line is too wide for a terminal, but for conditions', () => {
  for (const line of write(starterNames).split('\n')) if (!/when:/.test(line)) expect(line.length).toBeLessThan(121)
})

test('files of a certificate are named as they were given', async () => {
  const text = write(['vm'], { tls: { certificate: "/etc/it's.crt", key: '/etc/tls.key' } })
  expect(load(text)).toMatchObject({ listen: { tls: { certificate: "/etc/it's.crt", key: '/etc/tls.key' } } })
})

test.each([
  ['example.org', 'example.org'],
  ['https://id.example.org', 'https://id.example.org'],
  ['https://id.example.org:8443/a', 'https://id.example.org:8443/a'],
  ['0.0.0.0:8443', "'0.0.0.0:8443'"],
  ['true', "'true'"],
  ['123', "'123'"],
  ["it's", "'it''s'"],
  ['a: b', "'a: b'"],
])('the text %s is written %s', (text, written) => {
  expect(quoteYaml(text)).toBe(written)
  expect(load(`value: ${written}`)).toEqual({ value: text })
})

test.each([
  ['trust-domain', 'Example.org'],
  ['trust-domain', 'a\nb'],
  ['issuer', 'http://id.example.org'],
  ['issuer', "https://id.example.org' "],
  ['github-repository', "acme/web' || true || '"],
  ['gitlab-project', 'web'],
  ['buildkite-pipeline', 'a/b/c'],
])('%s takes no %j', (flag, text) => {
  const question = [...commonQuestions, ...questionsFor(starterNames)].find((candidate) => candidate.flag === flag)
  expect(question?.pattern.test(text)).toBe(false)
})
