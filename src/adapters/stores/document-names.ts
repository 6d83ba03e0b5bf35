/**
 * Names of documents, as every store by tables takes them: how they are looked for, and what is left of removed ones.
 *
 * @module
 */

/** Above every character of a name. */
export const lastCharacter = '\u{10ffff}'

/** In `meta`. The folder of a name is what stands up to its first slash. */
export function removedKey(name: string): string {
  return `removed:${name.slice(0, name.indexOf('/') + 1) || name}`
}
