/**
 * Lines of a dotenv file, which has no specification: only what its readers in Node, Python, Ruby, Go and the shell read
 * alike is written.
 *
 * @module
 */

const keyPattern = /^[A-Za-z_][A-Za-z0-9_]*$/
/** Nothing in it means anything to any reader. */
const plainPattern = /^[A-Za-z0-9_.,:/@%+=-]*$/

/** `KEY=value` without the line end; undefined where readers would differ. */
export function dotenvLine(key: string, value: string): string | undefined {
  if (!keyPattern.test(key) || /[\0\r]/.test(value)) return undefined
  if (plainPattern.test(value)) return `${key}=${value}`
  // Between single quotes all is itself, line ends included.
  if (!value.includes("'")) return `${key}='${value}'`
  // Between double quotes some expand $ and `, and backslashes are escapes to some and themselves to others.
  return /["\\$`\n]/.test(value) ? undefined : `${key}="${value}"`
}
