import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { openQuestions } from '../../src/cli/questions.ts'

/** Somebody who answers each question with the next of these. */
function terminal(...answers: readonly string[]) {
  const input = new PassThrough()
  const output = new PassThrough()
  const left = [...answers]
  let shown = ''
  output.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk
    if (!chunk.endsWith(': ')) return
    const answer = left.shift()
    if (answer === undefined) input.end()
    else input.write(`${answer}\n`)
  })
  return { questions: openQuestions({ input, output }), shown: () => shown }
}

const even = (text: string) => (Number(text) % 2 === 0 && text !== '' ? undefined : 'expected an even number')

test('asks until the answer is one', async () => {
  const { questions, shown } = terminal('3', '', ' 4 ')
  expect(await questions.ask({ text: 'Which', example: '2', problemOf: even })).toBe('4')
  expect(shown()).toBe(`Which (such as 2): ${'  expected an even number\nWhich (such as 2): '.repeat(2)}`)
  questions.close()
})

test('no answer is the initial one', async () => {
  const { questions, shown } = terminal('')
  expect(await questions.ask({ text: 'Which', initial: '8', problemOf: even })).toBe('8')
  expect(shown()).toBe('Which [8]: ')
  questions.close()
})

test.each([
  [['1,2'], ['kubernetes', 'vm']],
  [['vm kubernetes vm'], ['vm', 'kubernetes']],
  [['', 'kubernets', '3', '2'], ['vm']],
])('of choices, %j are %j', async (answers, chosen) => {
  const { questions, shown } = terminal(...answers)
  const choices = [
    { name: 'kubernetes', title: 'Pods' },
    { name: 'vm', title: 'Machines' },
  ]
  expect(await questions.choose('Whose?', choices)).toEqual(chosen)
  expect(shown()).toContain('Whose?\n  1  kubernetes  Pods\n  2  vm          Machines\n')
  if (answers.length > 1)
    expect(shown()).toMatch(/at least one.*there is no kubernets: did you mean kubernetes\?.*there is no 3/s)
  questions.close()
})

test.each([
  [['y'], true],
  [['maybe', 'No'], false],
])('%j confirms: %j', async (answers, confirmed) => {
  const { questions } = terminal(...answers)
  expect(await questions.confirm('Sure?')).toBe(confirmed)
  questions.close()
})

test('a terminal that goes away is no answer', async () => {
  const { questions } = terminal()
  await expect(questions.ask({ text: 'Which', problemOf: even })).rejects.toMatchObject({ code: 'unanswered' })
})

test('what was typed ahead answers the questions that follow', async () => {
  const input = new PassThrough()
  const questions = openQuestions({ input, output: new PassThrough() })
  input.end('2\n4\n')
  expect(await questions.ask({ text: 'Which', problemOf: even })).toBe('2')
  expect(await questions.ask({ text: 'Which', problemOf: even })).toBe('4')
  await expect(questions.ask({ text: 'Which', problemOf: even })).rejects.toMatchObject({ code: 'unanswered' })
})
