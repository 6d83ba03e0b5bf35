/**
 * Makes the OpenAPI documents of the public and of the admin API, of what the routes read with and answer.
 *
 * @see {@link https://spec.openapis.org/oas/v3.1.1.html OpenAPI 3.1.1}
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { type RefusalCode, refusals } from '../src/core/refusal.ts'
import { described, requestId } from '../src/http/openapi/fields.ts'
import type { Answered, Api, Fields, Method, Operation } from '../src/http/openapi/operation.ts'
import { problemOf } from '../src/http/openapi/problem-document.ts'

type Json = Readonly<Record<string, unknown>>

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
  readonly version: string
}

/** Two descriptions of one API, such as of two versions, are equal when it did not change. */
export function buildOpenApi(api: Api): Json {
  const components = createComponents()
  const paths = Object.fromEntries(
    Object.entries(api.paths).map(([path, operations]) => [
      path,
      Object.fromEntries(
        Object.entries(operations).map(([method, operation]) => [
          method,
          describeOperation(api, components, method as Method, operation),
        ]),
      ),
    ]),
  )
  return {
    openapi: '3.1.1',
    info: {
      title: api.title,
      version,
      description: api.description,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: api.tags,
    security: [],
    paths,
    components: components.all(api),
  }
}

/** What is described once and referred to. */
function createComponents() {
  const schemas: Record<string, unknown> = {}
  const responses: Record<string, unknown> = {}
  const headers: Record<string, unknown> = {}

  /** Of a member of something else, so that a schema with a name of its own is referred to as well. */
  function schemaOf(schema: z.ZodType): Json {
    const { $defs = {}, properties = {} }: JsonSchema = z.toJSONSchema(z.object({ member: schema }), {
      io: 'input',
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => adjust(zodSchema, jsonSchema),
    })
    for (const [name, definition] of Object.entries($defs)) schemas[name] = referring(withoutId(definition as Json))
    return referring(properties.member) as Json
  }

  function describeHeaders(fields: Fields): Json {
    return Object.fromEntries(
      Object.entries(fields).map(([name, field]) => {
        const { description, ...schema } = schemaOf(field)
        return [name, { required: true, ...(description !== undefined && { description }), schema }]
      }),
    )
  }

  /** What `problemHeaders` gives, and the request id of every answer. */
  function usualHeaders(status: number): Json {
    const fields: Fields = {
      'x-request-id': requestId,
      ...(status === 401 && { 'www-authenticate': z.literal('Bearer') }),
      ...([429, 502, 503].includes(status) && { 'retry-after': retryAfter }),
    }
    Object.assign(headers, describeHeaders(fields))
    return Object.fromEntries(Object.keys(fields).map((name) => [name, { $ref: `#/components/headers/${name}` }]))
  }

  function describeRefusal(codes: readonly RefusalCode[]): Json {
    const schema = problemSchema(codes)
    return {
      description: codes.map((code) => `\`${code}\`: ${refusals[code].title}.`).join(' '),
      headers: usualHeaders(statusOf(codes)),
      content: { 'application/problem+json': { schema: schemaOf(schema) } },
    }
  }

  return {
    schemaOf,
    describeHeaders,
    usualHeaders,
    /** Problem details of these codes, which have one status. */
    refusal(codes: readonly RefusalCode[]): Json {
      const name = codes.join('.')
      responses[name] ??= describeRefusal(codes)
      return { $ref: `#/components/responses/${name}` }
    },
    all: (api: Api) => ({
      schemas: sorted(schemas),
      responses: sorted(responses),
      headers: sorted(headers),
      ...(Object.values(api.paths).some((path) => Object.values(path).some(({ asked }) => asked !== 'everybody')) && {
        securitySchemes,
      }),
    }),
  }
}

type JsonSchema = z.core.JSONSchema.BaseSchema

type Components = ReturnType<typeof createComponents>

function adjust(schema: z.core.$ZodType, json: JsonSchema): void {
  Object.assign(json, described.get(schema))
  // The pattern of times is ten lines long, and `format` says the same.
  if (json.format === 'date-time') delete json.pattern
}

function withoutId({ id: _, ...definition }: Json): Json {
  return definition
}

function referring(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/'))
}

function sorted(members: Json): Json {
  return Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function describeOperation(api: Api, components: Components, method: Method, operation: Operation): Json {
  const { id, summary, description, tag, body } = operation
  const parameters = describeParameters(components, operation)
  return {
    operationId: id,
    summary,
    ...(description !== undefined && { description }),
    tags: [tag],
    ...(method !== 'options' && { security: security[operation.asked] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: body.optional !== true,
        content: Object.fromEntries(
          body.mediaTypes.map((type) => [type, { schema: components.schemaOf(body.schema) }]),
        ),
      },
    }),
    responses: describeResponses(api, components, operation),
  }
}

function describeParameters({ schemaOf }: Components, operation: Operation): readonly Json[] {
  const parameters = (place: string, fields: Fields = {}) =>
    Object.entries(fields).map(([name, field]) => {
      const { description, ...schema } = schemaOf(field)
      const required = place === 'path' || !field.safeParse(undefined).success
      return { name, in: place, required, ...(description !== undefined && { description }), schema }
    })
  const asksForProof = operation.asked === 'proof' || operation.asked === 'bare proof'
  return [
    ...parameters('path', operation.path),
    ...parameters('query', operation.query),
    ...parameters('header', {
      ...(asksForProof && { 'Apostille-Authenticator': narrowing }),
      ...(operation.conditional === true && { 'If-None-Match': z.string().optional() }),
    }),
  ]
}

const narrowing = z
  .string()
  .optional()
  .meta({ description: 'Name of the one authenticator that may take the proof. It only narrows.' })

function describeResponses(api: Api, components: Components, operation: Operation): Json {
  const { answers, errors = {}, refusals: own, never = [] } = operation
  const codes = [...new Set([...api.always.filter((code) => !never.includes(code)), ...own])]
  const statuses: Partial<Record<string, RefusalCode[]>> = Object.groupBy(codes, (code) => refusals[code].status)
  const overridden = Object.values(errors)
  return {
    ...Object.fromEntries(answers.map((answer) => [answer.status, describeAnswer(components, answer)])),
    ...Object.fromEntries(
      Object.entries(statuses)
        .filter(([status]) => !answers.some((answer) => String(answer.status) === status))
        .map(([status, these = []]) => [status, components.refusal(these.toSorted())]),
    ),
    ...Object.fromEntries(
      overridden.map((answer) => {
        const unread = (statuses[String(answer.status)] ?? []).toSorted()
        return [answer.status, describeAnswer(components, answer, unread)]
      }),
    ),
  }
}

/** @param problems Codes that the same status may have as problem details, as where no request could be read. */
function describeAnswer(
  { schemaOf, describeHeaders, usualHeaders }: Components,
  { status, description, content = {}, headers = {} }: Answered,
  problems: readonly RefusalCode[] = [],
): Json {
  const all = {
    ...(problems.length > 0 && { 'application/problem+json': problemSchema(problems) }),
    ...content,
  }
  return {
    description,
    headers: { ...usualHeaders(status), ...describeHeaders(headers) },
    ...(Object.keys(all).length > 0 && {
      content: Object.fromEntries(Object.entries(all).map(([type, schema]) => [type, { schema: schemaOf(schema) }])),
    }),
  }
}

function problemSchema(codes: readonly RefusalCode[]) {
  const titles = codes.map((code) => refusals[code].title)
  return problemOf(statusOf(codes), titles, codes)
}

/** Of codes that share it. */
function statusOf([code = 'internal']: readonly RefusalCode[]): number {
  return refusals[code].status
}

const retryAfter = z.string().regex(/^\d+$/).meta({ description: 'In seconds.' })

const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description:
      'A token of Kubernetes or of an OpenID provider, a join token (`apo_join_…`), a JWT-SVID, or a presigned request of AWS (`k8s-aws-v1.…`).',
  },
  bare: {
    type: 'apiKey',
    in: 'header',
    name: 'Authorization',
    description: 'The same by itself, without `Bearer`, as SDKs of AWS send it.',
  },
  certificate: {
    type: 'mutualTLS',
    description: 'An X.509-SVID of a configured trust domain, on TLS that ends at the gateway.',
  },
} as const

const security = {
  everybody: [],
  form: [],
  proof: [{ bearer: [] }, { certificate: [] }],
  'bare proof': [{ bearer: [] }, { bare: [] }, { certificate: [] }],
} as const
