/**
 * Members of the gateway's answers: what they are, or that the answer is none.
 *
 * @module
 */
import { ApostilleError } from './apostille-error.ts'

export type Document = Readonly<Record<string, unknown>>

/** Not empty. @throws {ApostilleError} `unexpected_answer` */
export function textOf(document: Document, name: string): string {
  const value = document[name]
  if (typeof value === 'string' && value !== '') return value
  throw unexpected(name)
}

/** @throws {ApostilleError} `unexpected_answer` */
export function timeOf(document: Document, name: string): Date {
  const value = new Date(textOf(document, name))
  if (Number.isNaN(value.getTime())) throw unexpected(name)
  return value
}

/** @throws {ApostilleError} `unexpected_answer` */
export function numberOf(document: Document, name: string): number {
  const value = document[name]
  if (typeof value === 'number') return value
  throw unexpected(name)
}

/** @throws {ApostilleError} `unexpected_answer` */
export function objectOf(document: Document, name: string): Document {
  const value = document[name]
  if (isDocument(value)) return value
  throw unexpected(name)
}

/** @throws {ApostilleError} `unexpected_answer` */
export function textsOf(document: Document, name: string): readonly string[] {
  const value = document[name]
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw unexpected(name)
}

/** @throws {ApostilleError} `unexpected_answer` */
export function documentsOf(document: Document, name: string): readonly Document[] {
  const value = document[name]
  if (Array.isArray(value) && value.every(isDocument)) return value
  throw unexpected(name)
}

function isDocument(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function unexpected(name: string): ApostilleError {
  return new ApostilleError(`the answer has no ${name}, so it is none of a gateway`, { code: 'unexpected_answer' })
}
