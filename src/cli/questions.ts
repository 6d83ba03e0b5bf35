/**
 * Questions to a person at a terminal.
 *
 * @module
 */
import { createInterface, type Interface } from 'node:readline'
import { findSimilarName } from '../runtime/similar-name.ts'
import { CliError } from './cli-error.ts'

export interface Terminal {
  readonly input: NodeJS.ReadableStream
  /** Not standard output, which is for the result. */
  readonly output: NodeJS.WritableStream
}

export interface Questions {
  /** Asks again until `problemOf` finds none. An empty answer is `initial`. */
  readonly ask: (question: Question) => Promise<string>
  /** Asks for one or several of the names. */
  readonly choose: (question: string, choices: readonly Choice[]) => Promise<readonly string[]>
  /** Asks for y or n. */
  readonly confirm: (question: string) => Promise<boolean>
  readonly close: () => void
}

export interface Question {
  readonly text: string
  readonly example?: string
  readonly initial?: string
  readonly problemOf: (answer: string) => string | undefined
}

export interface Choice {
  readonly name: string
  readonly title: string
}

/** Whether somebody is there to be asked. */
export function isAtTerminal(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

export function openQuestions(terminal: Terminal = { input: process.stdin, output: process.stderr }): Questions {
  const lines = createInterface(terminal)
  const read = createLineReader(lines)
  const tell = (text: string) => terminal.output.write(`${text}\n`)

  async function ask({ text, example, initial, problemOf }: Question): Promise<string> {
    const shown = initial === undefined ? (example === undefined ? '' : ` (such as ${example})`) : ` [${initial}]`
    for (;;) {
      const answer = (await read(`${text}${shown}: `)).trim() || (initial ?? '')
      const problem = problemOf(answer)
      if (problem === undefined) return answer
      tell(`  ${problem}`)
    }
  }

  return {
    ask,
    async choose(question, choices) {
      tell(question)
      for (const [index, { name, title }] of choices.entries()) tell(`  ${index + 1}  ${name.padEnd(12)}${title}`)
      const answer = await ask({
        text: 'Numbers or names, with commas between them',
        problemOf: (text) => {
          const read = readChoices(text, choices)
          return typeof read === 'string' ? read : undefined
        },
      })
      const read = readChoices(answer, choices)
      return typeof read === 'string' ? [] : read
    },
    async confirm(question) {
      const answer = await ask({
        text: `${question} (y/n)`,
        problemOf: (text) => (/^(?:y|yes|n|no)$/i.test(text) ? undefined : 'expected y or n'),
      })
      return /^y/i.test(answer)
    },
    close: () => lines.close(),
  }
}

/** Lines that were typed ahead, or pasted, are the answers to the questions that follow. */
function createLineReader(lines: Interface): (prompt: string) => Promise<string> {
  const ahead: string[] = []
  let waiting: PromiseWithResolvers<string> | undefined
  let closed = false
  lines.on('line', (line) => {
    if (waiting === undefined) ahead.push(line)
    else waiting.resolve(line)
    waiting = undefined
  })
  // The input ended, or Ctrl-C was pressed: no answer comes any more.
  lines.once('close', () => {
    closed = true
    waiting?.reject(unanswered())
  })
  return async (prompt) => {
    lines.setPrompt(prompt)
    if (!closed) lines.prompt()
    const line = ahead.shift()
    if (line !== undefined) return line
    if (closed) throw unanswered()
    waiting = Promise.withResolvers<string>()
    return waiting.promise
  }
}

function unanswered(): CliError {
  return new CliError('nothing was done: the question was not answered', { code: 'unanswered' })
}

/** A text says what is wrong. */
function readChoices(text: string, choices: readonly Choice[]): readonly string[] | string {
  const words = text.split(/[\s,]+/).filter((word) => word !== '')
  if (words.length === 0) return 'expected at least one'
  const names = words.map((word) => choices[Number(word) - 1]?.name ?? word)
  const known = choices.map(({ name }) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return [...new Set(names)]
  const similar = findSimilarName(unknown, known)
  return `there is no ${unknown}${similar === undefined ? '' : `: did you mean ${similar}?`}`
}
