/**
 * Text of others inside our own reasons: bounded, in one line, and told apart from what we say.
 *
 * @module
 */

/** `'text'`, cut after `max` characters (64 by default), with `?` for what is not printable ASCII. */
export function quote(text: string, max = 64): string {
  const printable = text.slice(0, max).replace(/[^\x20-\x7e]/g, '?')
  return `'${printable}${text.length > max ? '…' : ''}'`
}
