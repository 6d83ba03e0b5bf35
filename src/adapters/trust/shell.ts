/**
 * Commands for a POSIX shell with `$'…'` (bash, zsh, ksh): words that are read back as they were, whatever they hold.
 *
 * @module
 */

/** One step of a set-up. */
export interface TrustStep {
  /** One line, without a number. */
  readonly title: string
  /** Commands, as {@link formatCommand} and {@link formatFile} write them. */
  readonly commands: readonly string[]
  /** Of one line each, in place of the commands. */
  readonly otherwise?: readonly { readonly when: string; readonly command: string }[]
}

/** Every command with its title above it; runs as it stands. */
export function formatScript(heading: readonly string[], steps: readonly TrustStep[]): string {
  const parts = steps.map(({ title, commands, otherwise = [] }, index) =>
    [
      formatComment(`${index + 1}. ${title}`),
      ...commands,
      ...otherwise.flatMap(({ when, command }) => [formatComment(when), formatComment(command)]),
    ].join('\n'),
  )
  return `${[heading.map(formatComment).join('\n'), ...parts].join('\n\n')}\n`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** One line, whatever the text holds. */
export function formatComment(text: string): string {
  return `# ${text.replace(control, '?')}`.trimEnd()
}

/** A word. Always one line, and nothing in it moves a terminal's cursor. */
export function quoteWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text
  if (text.search(control) < 0) return quotePrintable(text)
  const escaped = text.replace(/[\\']/g, '\\$&').replace(control, escapeControl)
  return `$'${escaped}'`
}

/** Between double quotes where nothing means more there, as it is easier on the eye; `!` is history to some shells. */
function quotePrintable(text: string): string {
  return text.includes("'") && !/["$`\\!]/.test(text) ? `"${text}"` : `'${text.replaceAll("'", `'\\''`)}'`
}

function escapeControl(unit: string): string {
  const code = unit.charCodeAt(0)
  // An octal escape has at most three digits, so that what follows is never taken for a part of it.
  return code < 0x80 ? `\\${code.toString(8).padStart(3, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}

/** `--name value`, or `--name=value` where the value looks like a flag. */
export function quoteFlag(name: string, value: string): string {
  return `${name}${value.startsWith('-') ? '=' : ' '}${quoteWord(value)}`
}

/** Parts that are quoted already, one on each line from the second on. */
export function formatCommand(command: string, ...parts: readonly string[]): string {
  return [command, ...parts].join(' \\\n  ')
}

/** Writes JSON to a file; no line of it is the one that ends it, as every text in it is quoted. */
export function formatFile(file: string, content: unknown): string {
  return `cat > ${quoteWord(file)} <<'EOF'\n${formatAsciiJson(content, 2)}\nEOF`
}

/** JSON whose texts are printable ASCII. */
export function formatAsciiJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
