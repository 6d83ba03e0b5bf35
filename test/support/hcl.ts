/**
 * Reads the part of Terraform's language that our set-ups are written in, by the grammar and not by their writer.
 *
 * @see {@link https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md HCL native syntax}
 * @module
 */

export type HclRead = string | number | boolean | HclCall | HclTraversal | HclRead[] | { [key: string]: HclRead }

/** `name(argument)` */
export interface HclCall {
  call: string
  argument: HclRead
}

/** `a.b.c` */
export interface HclTraversal {
  traversal: string
}

export interface HclBlockRead {
  readonly type: string
  readonly labels: readonly string[]
  readonly attributes: Record<string, HclRead>
  readonly blocks: HclBlockRead[]
}

type Token = { readonly kind: 'text' | 'word' | 'number' | 'sign' | 'line'; readonly value: string }

const signs = new Set('{}[]()=,.'.split(''))

function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at)
    const [blank = ''] = /^(?:[ \t]+|#[^\n]*)/.exec(rest) ?? []
    const [word = ''] = /^[A-Za-z_][\w-]*/.exec(rest) ?? []
    const [number = ''] = /^\d+/.exec(rest) ?? []
    if (blank) at += blank.length
    else if (rest[0] === '\n') at += push({ kind: 'line', value: '\n' }, 1)
    else if (word) at += push({ kind: 'word', value: word }, word.length)
    else if (number) at += push({ kind: 'number', value: number }, number.length)
    else if (rest[0] === '"') {
      const { value, length } = readText(rest)
      at += push({ kind: 'text', value }, length)
    } else if (signs.has(rest[0] ?? '')) at += push({ kind: 'sign', value: rest[0] ?? '' }, 1)
    else throw new Error(`no token begins with ${JSON.stringify(rest.slice(0, 20))}`)
  }
  return tokens

  function push(token: Token, length: number): number {
    tokens.push(token)
    return length
  }
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' }

/** A quoted template; one that holds an expression or a directive is an error, as is a line break. */
function readText(rest: string): { readonly value: string; readonly length: number } {
  let value = ''
  for (let at = 1; at < rest.length; ) {
    const two = rest.slice(at, at + 2)
    const doubled = /^(?:\$\$\{|%%\{)/.test(rest.slice(at, at + 3))
    if (rest[at] === '"') return { value, length: at + 1 }
    if (rest[at] === '\n') break
    if (doubled) {
      value += rest.slice(at + 1, at + 3)
      at += 3
    } else if (two === '${' || two === '%{') throw new Error('a text holds an expression')
    else if (rest[at] === '\\') {
      const [, short, long] = /^\\u([0-9a-fA-F]{4})|^\\U([0-9a-fA-F]{8})/.exec(rest.slice(at)) ?? []
      const code = short ?? long
      const escaped = escapes[rest[at + 1] ?? '']
      if (code === undefined && escaped === undefined) throw new Error(`there is no escape ${two}`)
      value += code === undefined ? escaped : String.fromCodePoint(Number.parseInt(code, 16))
      at += code === undefined ? 2 : code.length + 2
    } else value += rest[at++]
  }
  throw new Error('a text does not end on its line')
}

export function readHcl(text: string): readonly HclBlockRead[] {
  const tokens = tokenize(text)
  let at = 0

  const peek = () => tokens[at] ?? { kind: 'line', value: 'the end' }
  const isSign = (value: string) => peek().kind === 'sign' && peek().value === value
  const take = (kind: Token['kind'], value?: string) => {
    const token = peek()
    if (token.kind !== kind || (value !== undefined && token.value !== value))
      throw new Error(`expected ${value ?? kind}, found ${JSON.stringify(token.value)}`)
    at += 1
    return token.value
  }
  const skipLines = () => {
    while (tokens[at]?.kind === 'line') at += 1
  }

  function readBlock(): HclBlockRead {
    const type = take('word')
    const labels: string[] = []
    while (peek().kind === 'text') labels.push(take('text'))
    take('sign', '{')
    take('line')
    const block: HclBlockRead = { type, labels, attributes: {}, blocks: [] }
    for (skipLines(); !isSign('}'); skipLines()) {
      const next = tokens[at + 1]
      if (next?.kind === 'sign' && next.value === '=') readAttribute(block)
      else block.blocks.push(readBlock())
    }
    take('sign', '}')
    return block
  }

  function readAttribute({ attributes }: HclBlockRead): void {
    const name = take('word')
    take('sign', '=')
    if (Object.hasOwn(attributes, name)) throw new Error(`${name} is there twice`)
    attributes[name] = readValue()
    take('line')
  }

  function readValue(): HclRead {
    const { kind } = peek()
    if (kind === 'text') return take('text')
    if (kind === 'number') return Number(take('number'))
    if (kind === 'word') return readWord()
    return isSign('[') ? readList() : readObject()
  }

  function readWord(): HclRead {
    let traversal = take('word')
    if (traversal === 'true' || traversal === 'false') return traversal === 'true'
    if (isSign('(')) {
      take('sign', '(')
      const argument = readValue()
      take('sign', ')')
      return { call: traversal, argument }
    }
    while (isSign('.')) {
      take('sign', '.')
      traversal += `.${take('word')}`
    }
    return { traversal }
  }

  function readList(): HclRead[] {
    const items: HclRead[] = []
    take('sign', '[')
    for (skipLines(); !isSign(']'); skipLines()) {
      items.push(readValue())
      skipLines()
      if (!isSign(']')) take('sign', ',')
    }
    take('sign', ']')
    return items
  }

  function readObject(): Record<string, HclRead> {
    const object: Record<string, HclRead> = {}
    take('sign', '{')
    for (skipLines(); !isSign('}'); skipLines()) {
      const key = take('text')
      take('sign', '=')
      if (Object.hasOwn(object, key)) throw new Error(`${key} is there twice`)
      object[key] = readValue()
      if (!isSign('}')) take('line')
    }
    take('sign', '}')
    return object
  }

  const blocks: HclBlockRead[] = []
  for (skipLines(); at < tokens.length; skipLines()) blocks.push(readBlock())
  return blocks
}
