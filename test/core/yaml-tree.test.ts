import { describe, expect, test } from 'vitest'
import { parseYaml } from '../../src/core/yaml-tree.ts'

const contentOf = (text: string) => parseYaml(text).root?.value
/** `offset message` of each. */
const problemsOf = (text: string) => parseYaml(text).problems.map(({ at, message }) => `${at} ${message}`)

describe('the core schema', () => {
  test.each<readonly [string, unknown]>([
    ['~', null],
    ['Null', null],
    ['TRUE', true],
    ['false', false],
    ['yes', 'yes'],
    ['off', 'off'],
    ['-17', -17],
    ['0o17', 15],
    ['0x1F', 31],
    ['017', 17],
    ['1_000', '1_000'],
    ['1e3', 1000],
    ['.5', 0.5],
    ['-.inf', Number.NEGATIVE_INFINITY],
    ['1.2.3.4', '1.2.3.4'],
    ['2026-01-01', '2026-01-01'],
    ['12:30', '12:30'],
    ['"5"', '5'],
    ["'it''s'", "it's"],
    ['"\\u00e9\\n"', 'é\n'],
    ['!!str 5', '5'],
    ['! 5', '5'],
    ['!<tag:yaml.org,2002:str> 5', '5'],
    ['!!int "5"', 5],
    ['!!seq [1]', [1]],
    ['!!map {a: 1}', { a: 1 }],
  ])('%s', (written, value) => {
    expect(problemsOf(`a: ${written}`)).toEqual([])
    expect(contentOf(`a: ${written}`)).toEqual({ a: value })
  })

  test.each([
    ['a: |\n  one\n\n    two\n', 'one\n\n  two\n'],
    ['a: |-\n  one\n', 'one'],
    ['a: >\n  one\n  two\n', 'one two\n'],
    ['a: one\n  two', 'one two'],
    ['a: |2\n   one\n', ' one\n'],
  ])('%j', (text, value) => {
    expect(contentOf(text)).toEqual({ a: value })
  })

  test('a text without a value has no root, and no problem', () => {
    expect(parseYaml('')).toEqual({ problems: [] })
    expect(parseYaml('# a comment\n')).toEqual({ problems: [] })
    expect(contentOf('~')).toBeNull()
  })

  test('a mark of the byte order and line ends of other systems change nothing', () => {
    expect(contentOf('\uFEFFa: 1\r\nb:\r\n  - c\r\n')).toEqual({ a: 1, b: ['c'] })
  })
})

test('an alias is the value of its anchor, the last one of that name before it', () => {
  expect(contentOf('a: &x [1]\nb: *x\nc: &x 2\nd: *x')).toEqual({ a: [1], b: [1], c: 2, d: 2 })
})

test('what stands in a problem does not come out as content', () => {
  expect(parseYaml('a: 1\na: 2').root).toBeUndefined()
})

describe('what is wrong, and where', () => {
  test.each<readonly [string, readonly string[]]>([
    ['a: 1\na: 2\na: 3', [5, 10].map((at) => `${at} this key stands here for the second time`)],
    ['{a: {b: 1, b: 2}}', ['11 this key stands here for the second time']],
    ['a: !!int x', ['9 this is not what !!int says']],
    ['a: !!seq {b: 1}', ['9 tags are not taken here: write the value alone']],
    ['a: !!map [1]', ['9 tags are not taken here: write the value alone']],
    ['a: !<tag:example.org,2026:x> 1', ['29 tags are not taken here: write the value alone']],
    ['%TAG !! tag:example.org,2026:\n---\na: !!str 1', ['0 tags are not taken here: there is nothing to declare']],
    ['{[a]: 1}', ['1 a key is a text: put it into quotes']],
    ['a: &x b\n*x : 1', []],
    ['a: &x [b]\n*x : 1', ['10 a key is a text: put it into quotes']],
    ['? &x {a: *x}\n: 1', ['9 x holds itself', '5 a key is a text: put it into quotes']],
    ['a: *x\nb: &x 1', ['3 there is no anchor x before this']],
    ['a: 1\n...\nb: 2', ['9 a second document begins here: a configuration is one document']],
    ['a: 1\n---\n', ['5 a second document begins here: a configuration is one document']],
    ['--- # one\na: --- 1\n--- # two\nb: 1', ['19 a second document begins here: a configuration is one document']],
    [
      'a: b: c',
      ['4 a value can not go on here: what begins with one of - ? @ ` % or holds a colon and a space stands in quotes'],
    ],
    ['a:\n  b: 1\n c: 2', ['11 this is indented unlike what stands above it']],
    ["a: 'b\nc: d", ['6 this is indented too little, or a quote above is not closed']],
    ["a: 'b", ["5 the text ends here, and a closing ' is missing"]],
    ['a: [1', ['5 the text ends here, and a closing } or ] is missing']],
    ['a: 1\nissuer https://x\nb: 2', ['5 this line is no `key: value`: a colon is missing, or the space behind it']],
    [
      'a: 1\n  # c\n\nb:2\n# d\n\nc: 3',
      ['12 this line is no `key: value`: a colon is missing, or the space behind it'],
    ],
    ['a:\n  issuer', []],
    ['a: 1\nissuer\n\n', ['5 this line is no `key: value`: a colon is missing, or the space behind it']],
    ['a:1\nb: 2', ['5 the document ended above this: is a colon missing there, or the space behind it?']],
    ['a: "x"\n  b: y', ['9 this is indented unlike what stands above it']],
    ['permit: *', ["9 a * that means everything stands in quotes: '*'"]],
    ["a: 'it's'", ['7 the quoted text ended before this: within it, \' is written twice, and " as \\"']],
    ['a: "\\q"', ['5 within " a backslash begins an escape: write two, or quote with \'']],
    ['a: [b, , c]', ['7 a value is missing before this']],
    ['a: [1 {}]', ['6 within { } or [ ] a comma is missing before this']],
  ])('%j', (text, problems) => {
    expect(problemsOf(text)).toEqual(problems)
  })

  test('aliases may stand for much, and not for everything', () => {
    const list = `a: &a [${'x, '.repeat(99)}x]`
    expect(problemsOf(`${list}\nb: [${'*a, '.repeat(989)}*a]`)).toEqual([])
    expect(problemsOf(`${list}\nb: [${'*a, '.repeat(990)}*a]`)).toEqual([
      '0 aliases stand for more than 100000 values: write them out',
    ])
  })
  test('a long text counts for as many values as it is long', () => {
    const text = `a: &a ${'x'.repeat(25_600)}`
    expect(problemsOf(`${text}\nb: [${'*a, '.repeat(980)}*a]`)).toEqual([])
    expect(problemsOf(`${text}\nb: [${'*a, '.repeat(1000)}*a]`)).toEqual([
      '0 aliases stand for more than 100000 values: write them out',
    ])
  })
})
