/**
 * JSON merge patches: a document that says what is to change in another.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7396 RFC 7396}
 * @module
 */
import { isJsonObject } from './json.ts'

/** The target with the patch applied (§2); neither is changed. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch
  const members = new Map(isJsonObject(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) members.delete(name)
    else members.set(name, applyMergePatch(members.get(name), value))
  }
  return Object.fromEntries(members)
}
