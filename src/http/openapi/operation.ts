/**
 * How an API is described: its operations, each by the schemas that its route reads with, the shapes that it answers,
 * and the refusals that it can say.
 *
 * Nothing in this folder is loaded by a running gateway: the documents are made of it when the package is built, and
 * routes take no more from here than types, so that what they answer is what is described.
 *
 * @module
 */
import type * as z from 'zod'
import type { RefusalCode } from '../../core/refusal.ts'

export type Method = 'get' | 'put' | 'post' | 'delete' | 'options' | 'patch'

/** Fields by their names, each with its description. */
export type Fields = Readonly<Record<string, z.ZodType>>

export interface Body {
  readonly mediaTypes: readonly string[]
  readonly schema: z.ZodType
  /** Default: it has to be there. */
  readonly optional?: boolean
}

/** What is answered where nothing is refused. */
export interface Answered {
  readonly status: number
  readonly description: string
  /** By media type; a text that is no JSON has a schema of type string. Absent: there is no body. */
  readonly content?: Readonly<Record<string, z.ZodType>>
  /** Besides those that every answer has. */
  readonly headers?: Fields
}

/**
 * Who is answered: everybody; whoever shows a proof; whoever shows one, which may stand in `Authorization` by itself; or
 * whoever puts the proof into the form.
 */
export type Asked = 'everybody' | 'proof' | 'bare proof' | 'form'

export interface Operation {
  /** Name for programs: unique in its API. */
  readonly id: string
  readonly summary: string
  readonly description?: string
  readonly tag: string
  readonly asked: Asked
  readonly path?: Fields
  readonly query?: Fields
  readonly body?: Body
  /** Whether `If-None-Match` is honoured. */
  readonly conditional?: boolean
  readonly answers: readonly Answered[]
  /** Besides {@link Api.always}. */
  readonly refusals: readonly RefusalCode[]
  /** Of {@link Api.always} what can not be here. */
  readonly never?: readonly RefusalCode[]
  /** In place of problem details, by status. */
  readonly errors?: Readonly<Record<number, Answered>>
}

export interface Tag {
  readonly name: string
  readonly description: string
}

export interface Api {
  readonly title: string
  readonly description: string
  readonly tags: readonly Tag[]
  /** What any request may be refused for. */
  readonly always: readonly RefusalCode[]
  /** Whether problems have their detail whatever the code. */
  readonly forOperators: boolean
  readonly paths: Readonly<Record<string, Readonly<Partial<Record<Method, Operation>>>>>
}

/** Codes of requests that could not be read as HTTP, which Node may say of any. */
export const unreadable = [
  'malformed_request',
  'request_timeout',
  'too_large',
  'headers_too_large',
] as const satisfies readonly RefusalCode[]

/** What any proof may be refused for. */
export const proofRefusals = [
  'proof_rejected',
  'upstream_failed',
  'store_unavailable',
] as const satisfies readonly RefusalCode[]
