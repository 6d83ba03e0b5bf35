/**
 * `apostille init`
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { dirname, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { checkText } from '../../runtime/check.node.ts'
import { createFile } from '../../runtime/replace-file.node.ts'
import { CliError, usageError } from '../cli-error.ts'
import { asTyped, currentInvocation, quote } from '../invocation.ts'
import { act, configOption, examples, type OperatorOptions, withOutput } from '../options.ts'
import { isAtTerminal, openQuestions, type Questions } from '../questions.ts'
import { formatStarterDocument } from '../starter-document.ts'
import {
  commonQuestions,
  questionsFor,
  type StarterAnswers,
  type StarterName,
  type StarterQuestion,
  type StarterSource,
  starterNames,
  starterSources,
} from '../starter-sources.ts'
import { collect } from '../values.ts'

interface InitOptions extends OperatorOptions {
  readonly for?: readonly StarterName[]
  readonly listen: string
  readonly tlsCertificate?: string
  readonly tlsKey?: string
  readonly schema?: string
}

/** In the order of the help. */
const allQuestions = [...commonQuestions, ...questionsFor(starterNames)]

export function define(command: Command): void {
  command
    .description(
      'Write a first configuration, with comments that say what to change. What flags do not say is asked where there is a terminal. A file that is there is never overwritten.',
    )
    .addOption(
      new Option(
        '--for <workloads>',
        `whose workloads get identities; may be given again (required without a terminal)`,
      )
        .choices(starterNames)
        .argParser((text: string, before?: readonly string[]) => collect(checkChoice(text), before)),
    )
  for (const { flag, question, example, initial } of allQuestions) {
    const value = initial === undefined ? `required: ${forWhom(flag)}` : `default: ${initial}`
    command.option(`--${flag} <text>`, `${question}, such as ${example} (${value})`)
  }
  command
    .option('--listen <address>', 'where it listens: host:port', '0.0.0.0:8443')
    .option('--tls-certificate <file>', 'PEM of a certificate for the host of the issuer (default: one of ours)')
    .option('--tls-key <file>', 'PEM of the private key of --tls-certificate (default: that of ours)')
    .option(
      '--schema <url>',
      'JSON Schema that editors read, in the first line (default: that of the package where it is installed)',
    )
  withOutput(command.addOption(configOption('where to write it')))
  examples(
    command,
    'init',
    'init --for kubernetes --trust-domain example.org --issuer https://id.example.org --kubernetes-issuer https://oidc.cluster.example',
    'init --for github --for vm --trust-domain example.org --issuer https://id.example.org --github-repository acme/web',
  )
  act<InitOptions>(command, async (output, options) => {
    const file = options.config
    requireNew(file)
    const { sources, answers } = await gather(command, options)
    const text = formatStarterDocument({
      schema: options.schema ?? schemaFor(file),
      listen: options.listen,
      ...readTls(options),
      answers,
      sources,
    })
    await requireGood(text, file)
    await create(file, text)
    const next = nextSteps(file, sources, answers)
    output.result({ file, trust_domain: answers['trust-domain'], issuer: answers['issuer'], for: sources, next }, () =>
      [`Wrote ${file}. Next:`, ...next.map((step) => `  - ${step}`)].join('\n'),
    )
  })
}

function forWhom(flag: string): string {
  const name = starterNames.find((candidate) => flag.startsWith(`${candidate}-`))
  return name === undefined ? 'asked on a terminal' : `for ${name}`
}

function checkChoice(text: string): string {
  if (starterNames.some((name) => name === text)) return text
  throw usageError(`there is no ${JSON.stringify(text)} for --for`, `There are: ${starterNames.join(', ')}.`)
}

function requireNew(file: string): void {
  if (!existsSync(file)) return
  throw new CliError(`${file} is there, and is not overwritten`, {
    code: 'exists',
    hint: `Name another with --config FILE, or look at it with: ${currentInvocation()} check ${quote(file)}`,
  })
}

async function gather(command: Command, options: InitOptions) {
  const questions = options.output === 'text' && isAtTerminal() ? openQuestions() : undefined
  try {
    const given = command.opts<Readonly<Record<string, unknown>>>()
    if (questions === undefined) requireAll(given, options)
    const common = await answerAll(commonQuestions, given, questions)
    const sources = options.for ?? (await chooseSources(questions))
    const further = await answerAll(questionsFor(sources), given, questions)
    return { sources, answers: { ...common, ...further } }
  } finally {
    questions?.close()
  }
}

/** All at once: nobody wants to learn them one by one. */
function requireAll(given: Readonly<Record<string, unknown>>, { for: sources }: InitOptions): void {
  const asked = [...commonQuestions, ...questionsFor(sources ?? [])]
  const missing = asked.filter(({ flag, initial }) => given[attributeOf(flag)] === undefined && initial === undefined)
  const flags = [...missing.map(({ flag }) => `--${flag}`), ...(sources === undefined ? ['--for'] : [])]
  if (flags.length === 0) return
  const examples = missing.map(({ flag, example }) => `--${flag} ${example}`).join(' ')
  const hints = [
    ...(examples === '' ? [] : [`Give ${examples}, or ${missing.length === 1 ? 'another' : 'others'}.`]),
    ...(sources === undefined ? [`Give --for once or several times, with: ${starterNames.join(', ')}.`] : []),
  ]
  const missed = `${flags.join(', ')} ${flags.length === 1 ? 'is' : 'are'} missing: there is no terminal to ask on`
  throw usageError(missed, hints.join('\n'))
}

async function chooseSources(questions: Questions | undefined): Promise<readonly StarterName[]> {
  if (questions === undefined) return []
  const choices = starterNames.map((name) => ({ name, title: starterSources[name].title }))
  return (await questions.choose('Whose workloads get identities?', choices)) as readonly StarterName[]
}

async function answerAll(
  asked: readonly StarterQuestion[],
  given: Readonly<Record<string, unknown>>,
  questions: Questions | undefined,
): Promise<StarterAnswers> {
  const answers: Record<string, string> = {}
  for (const question of asked) answers[question.flag] = await answerOne(question, given, questions)
  return answers
}

async function answerOne(
  { flag, question, example, initial, pattern, expected }: StarterQuestion,
  given: Readonly<Record<string, unknown>>,
  questions: Questions | undefined,
): Promise<string> {
  const problemOf = (text: string) => (pattern.test(text) ? undefined : `expected ${expected}, such as ${example}`)
  const text = given[attributeOf(flag)] ?? (questions ? undefined : initial)
  if (typeof text === 'string') {
    const problem = problemOf(text)
    if (problem !== undefined) throw usageError(`--${flag}: ${problem}`)
    return text
  }
  if (questions === undefined) return ''
  return questions.ask({ text: question, example, ...(initial !== undefined && { initial }), problemOf })
}

/** As the library names the value of a flag. */
function attributeOf(flag: string): string {
  return flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function readTls({ tlsCertificate: certificate, tlsKey: key }: InitOptions) {
  if (certificate !== undefined && key !== undefined) return { tls: { certificate, key } }
  if (certificate === undefined && key === undefined) return {}
  throw usageError('--tls-certificate and --tls-key go together: give both, or none')
}

/** Relative where the package lies below the folder of the document, so that the line holds on other machines. */
function schemaFor(file: string): string {
  const schema = fileURLToPath(new URL('../../../schema/apostille.schema.json', import.meta.url))
  const found = existsSync(schema)
    ? schema
    : fileURLToPath(new URL('../../schema/apostille.schema.json', import.meta.url))
  const path = relative(dirname(resolve(file)), found)
  return path.startsWith(`..${sep}`) ? found : `./${path.replaceAll(sep, '/')}`
}

/** What patterns do not find out, the whole of the configuration does. */
async function requireGood(text: string, file: string): Promise<void> {
  const { ok, diagnostics } = await checkText(text, file)
  if (ok) return
  const told = diagnostics.map(({ path, message }) => `${path}: ${message}`)
  throw usageError(`no configuration can be made of this: ${told.join('; ')}`)
}

async function create(file: string, text: string): Promise<void> {
  try {
    await createFile(file, text, 0o644)
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    if (code === 'EEXIST') requireNew(file)
    const why = { ENOENT: 'its folder is not there', EACCES: 'this user may not write there' }[code] ?? code
    throw new CliError(`cannot write ${file}: ${why}`, { code: 'file', cause })
  }
}

function nextSteps(file: string, sources: readonly StarterName[], answers: StarterAnswers): readonly string[] {
  const flag = resolve(file) === resolve('apostille.yaml') ? '' : ` --config ${quote(file)}`
  return [
    `look at it, and check it: \`apostille check${flag}\``,
    `start it: \`apostille serve${flag}\``,
    ...sources.map((name) => (starterSources[name] as StarterSource).next(answers)),
    `see that the world around it fits: \`apostille doctor${flag}\``,
  ].map(asTyped)
}
