/**
 * Makes `docs/api-reference.md` of the OpenAPI documents: every route with what it takes and answers.
 *
 * @module
 */
import { adminApi } from '../../src/http/openapi/admin-api.ts'
import { publicApi } from '../../src/http/openapi/public-api.ts'
import { buildOpenApi } from '../openapi.ts'
import { formatShape, type Schema } from '../shape.ts'

interface Document {
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

interface Operation {
  readonly summary: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly security?: readonly object[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, Answer>>
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly description?: string
  readonly schema: Schema
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>

/** A reference is that to a refusal, whose codes are in its name. */
interface Answer {
  readonly description?: string
  readonly content?: Content
  readonly $ref?: string
}

const apis = [
  { title: 'Public API', api: publicApi },
  { title: 'Admin socket', api: adminApi },
]

export function buildApiPage(): string {
  return `# HTTP API, every route

Made of the routes by \`npm run generate\`; the package has the same as OpenAPI 3.1, \`schema/openapi.json\` and
\`schema/openapi-admin.json\`. [HTTP API](http-api.md) explains it, with requests to try.

A shape is written as TypeScript writes types; \`?\` marks what may be left out. Every answer has \`X-Request-Id\`, and every refusal is a
[problem](http-api.md#errors) with one of the codes that stand behind its status: [what they mean](errors.md#what-a-caller-is-told).
${apis.map(({ title, api }) => formatApi(title, buildOpenApi(api) as unknown as Document)).join('')}`
}

function formatApi(title: string, { tags, paths, components }: Document): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'options')
      .map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )
  const sections = tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags[0] === name)
    return `\n### ${title}: ${name}\n\n${description}\n${own.map((one) => formatOperation(one.name, one.operation)).join('')}`
  })
  const shapes = Object.entries(components.schemas).map(([name, schema]) => `type ${name} = ${formatShape(schema)}`)
  return `\n## ${title}\n${sections.join('')}\n### ${title}: shapes\n\n${code(shapes.join('\n\n'))}\n`
}

function formatOperation(name: string, operation: Operation): string {
  const { summary, description, parameters = [], requestBody, responses } = operation
  return [
    '',
    `#### \`${name}\``,
    '',
    [`${summary}.`, description, ...formatSecurity(operation)].filter((text) => text !== undefined).join(' '),
    '',
    ...(parameters.length === 0 ? [] : ['| parameter | in | |\n|---|---|---|', ...parameters.map(formatParameter), '']),
    ...formatBodies(requestBody?.required === false ? 'Body, which may be left out' : 'Body', requestBody?.content),
    ...Object.entries(responses).flatMap(([status, answer]) => formatAnswer(status, answer)),
    ...formatRefusals(responses),
    '',
  ].join('\n')
}

function formatSecurity({ security = [] }: Operation): readonly string[] {
  return security.length === 0 ? [] : ['Needs [a proof](http-api.md#the-proof).']
}

function formatParameter({ name, in: place, required, description = '', schema }: Parameter): string {
  const shape = formatShape(schema).replaceAll('|', '\\|')
  const about = [required ? 'Required.' : '', description.replaceAll('\n', ' ').replaceAll('|', '\\|')]
  return `| \`${name}\`: \`${shape}\` | ${place} | ${about.filter(Boolean).join(' ')} |`
}

function formatBodies(title: string, content: Content = {}): readonly string[] {
  return Object.entries(content).flatMap(([type, { schema }]) => {
    const shape = formatShape(schema)
    return shape === 'unknown' || !/[\n{]/.test(shape)
      ? [`${title}: \`${type}\`${shape === 'unknown' ? '' : `, \`${shape}\``}`, '']
      : [`${title}: \`${type}\``, '', code(shape), '']
  })
}

function formatAnswer(status: string, { description = '', content, $ref }: Answer): readonly string[] {
  if ($ref !== undefined) return []
  const said = description.replaceAll('\n', ' ')
  return content === undefined
    ? [`Answers ${status}: ${said}`, '']
    : [`Answers ${status}: ${said}`, '', ...formatBodies('As', content)]
}

/** Those that are nothing but problems, each with its codes. */
function formatRefusals(responses: Operation['responses']): readonly string[] {
  const refusals = Object.entries(responses).flatMap(([status, { $ref }]) => {
    const codes = $ref?.replace(/^.*\//, '').split('.') ?? []
    return codes.length === 0 ? [] : [`${status} ${codes.map((one) => `\`${one}\``).join(' ')}`]
  })
  return refusals.length === 0 ? [] : [`Refusals: ${refusals.join(', ')}.`]
}

function code(text: string): string {
  return `\`\`\`ts\n${text}\n\`\`\``
}
