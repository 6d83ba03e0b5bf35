/**
 * Whether answers are those that the OpenAPI document describes: status, headers, media type, and a body with nothing in
 * it that is not described.
 *
 * @module
 */
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect } from 'vitest'
import adminApi from '../../schema/openapi-admin.json' with { type: 'json' }

type Json = Readonly<Record<string, unknown>>

export interface DescribedRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
}

export interface DescribedAnswer {
  readonly status: number
  readonly header: (name: string) => string | null | undefined
  readonly text: string
}

export type AnswerCheck = (request: DescribedRequest, answer: DescribedAnswer) => void

/** Answers what fails a test when an answer is not described. */
export function createAnswerCheck(document: Json): AnswerCheck {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(closed(document) as Json, 'openapi')
  const validators = new Map<Json, ReturnType<typeof ajv.compile>>()
  const templates = Object.keys((document as { readonly paths: Json }).paths).map((template) => ({
    template,
    // The path of a secret has slashes of its own.
    pattern: new RegExp(`^${template.replace('{path}', '.*').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }))

  function at(pointer: readonly string[]): unknown {
    const found = pointer.reduce<unknown>((value, step) => (value as Json | undefined)?.[step], document)
    const reference = (found as { readonly $ref?: string } | undefined)?.$ref
    return reference === undefined ? found : at(reference.slice(2).split('/'))
  }

  return ({ method, path }, answer) => {
    const [plain = ''] = path.split('?', 1)
    const template = templates.find(({ pattern }) => pattern.test(plain))?.template
    const verb = verbOf(method)
    const where = `${method} ${plain}: ${answer.status}`
    const pointer = ['paths', template ?? '', verb]
    if (template === undefined || at(pointer) === undefined) {
      // Said once in the description of the whole, as no operation can say it.
      expect([where, [404, 405].includes(answer.status)]).toEqual([where, true])
      return
    }
    const described = [...pointer, 'responses', String(answer.status)]
    const response = at(described) as { readonly content?: Json; readonly headers?: Json } | undefined
    expect(response, `${where} is not described`).toBeDefined()
    for (const name of Object.keys(response?.headers ?? {}))
      expect(answer.header(name), `${where} lacks ${name}`).toEqual(expect.any(String))
    if (method === 'HEAD' || response?.content === undefined) expect([where, answer.text]).toEqual([where, ''])
    else requireBody(where, response.content, answer)
  }

  function requireBody(where: string, content: Json, answer: DescribedAnswer): void {
    const type = answer.header('content-type')?.split(';', 1)[0] ?? 'none'
    const media = content[type] as { readonly schema: Json } | undefined
    expect(media, `${where} is not described as ${type}`).toBeDefined()
    if (!type.endsWith('json')) return
    const validate = validatorOf(media?.schema ?? {})
    const valid = validate(JSON.parse(answer.text))
    expect([where, valid, validate.errors]).toEqual([where, true, null])
  }

  function validatorOf(schema: Json) {
    const known = validators.get(schema)
    if (known) return known
    const made = ajv.compile(
      JSON.parse(JSON.stringify(closed(schema)).replaceAll('"#/components', '"openapi#/components')),
    )
    validators.set(schema, made)
    return made
  }
}

/** `HEAD` is `GET`, and `LIST` is a `GET` of what OpenAPI 3.1 has no word for. */
function verbOf(method: string): string {
  return ['HEAD', 'LIST'].includes(method) ? 'get' : method.toLowerCase()
}

/** Objects are open for those who read them, as there will be more in them one day. Here nothing may be added in silence. */
function closed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(closed)
  const members = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, closed(member)]))
  const isObject = members['type'] === 'object' && 'properties' in members && !('additionalProperties' in members)
  return isObject ? { ...members, additionalProperties: false } : members
}

/** For gateways of tests. */
export const createAdminCheck = () => createAnswerCheck(adminApi)
