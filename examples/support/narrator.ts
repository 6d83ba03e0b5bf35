/**
 * Tells what happens, for people: headings, paragraphs, check marks, what programs print. Colour on a terminal only, and
 * never where `NO_COLOR` is set.
 *
 * @module
 */
import { stripVTControlCharacters, styleText } from 'node:util'

export interface Narrator {
  /** Of a part of several. */
  readonly title: (text: string) => void
  readonly heading: (text: string) => void
  /** A paragraph; line breaks and indentation of the source mean nothing. */
  readonly say: (text: string) => void
  /** Something that was seen to hold. */
  readonly check: (text: string) => void
  /** Names and values below each other. */
  readonly values: (values: Readonly<Record<string, unknown>>) => void
  /** A line that a program printed. */
  readonly output: (program: string, line: string) => void
  /** Text as it is. */
  readonly lines: (lines: readonly string[]) => void
}

const width = 92
const programWidth = 22

export function createNarrator(stream: NodeJS.WriteStream = process.stdout): Narrator {
  const coloured = stream.isTTY && !process.env['NO_COLOR']
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    coloured ? styleText(format, text, { validateStream: false }) : text
  let afterGap = true
  function write(lines: readonly string[]): void {
    stream.write(`${lines.join('\n')}\n`)
    afterGap = lines.at(-1) === ''
  }
  const writeApart = (lines: readonly string[]) => write(afterGap ? lines : ['', ...lines])

  return {
    title: (text) => writeApart(['', style(['bold', 'inverse'], ` ${text} `.padEnd(width)), '']),
    heading: (text) => writeApart([style(['bold', 'cyan'], text), style('cyan', '─'.repeat(text.length)), '']),
    say: (text) => writeApart([...wrap(text, width), '']),
    check: (text) => write(wrap(text, width - 2).map((line, index) => `${index ? ' ' : style('green', '✓')} ${line}`)),
    values(values) {
      const names = Object.keys(values)
      const longest = Math.max(...names.map((name) => name.length))
      writeApart([
        ...names.map((name) => `    ${style('dim', name.padEnd(longest))}  ${formatValue(values[name])}`),
        '',
      ])
    },
    output: (program, line) =>
      write([`${style('dim', `  ${program.padEnd(programWidth)} │`)} ${stripVTControlCharacters(line)}`]),
    lines: (lines) => writeApart([...lines.map((line) => `    ${line}`), '']),
  }
}

function formatValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.trim().split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
