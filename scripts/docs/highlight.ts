/**
 * Colours of code: comments, texts, names and words of the language. What it does not know stays plain.
 *
 * @module
 */

const hash = /(?<comment>(?<=^|\s)#.*)/
const slashes = /(?<comment>\/\/.*|\/\*[\s\S]*?\*\/)/
const quoted = /(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')/
const words = (list: string) => new RegExp(`(?<word>\\b(?:${list})\\b)`)

const program = join(
  slashes,
  /(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)/,
  words(
    'as|async|await|case|catch|class|const|defer|else|export|extends|final|finally|for|from|func|function|go|if|implements|import|in|interface|let|match|mut|new|null|of|package|private|pub|public|return|static|struct|throw|throws|true|false|try|type|undefined|use|using|var|void|while|fn|impl',
  ),
)
const shell = join(hash, quoted, /(?<key>(?<=\s)--?[A-Za-z][\w-]*)/)
const settings = join(hash, /(?<key>^\s*\[.*\]|^\s*[\w.-]+(?=\s*=))/, quoted)

const languages: Readonly<Record<string, RegExp>> = {
  '': shell,
  sh: shell,
  yaml: join(hash, /(?<key>(?<=^\s*(?:- )*|[{,]\s*)[\w./-]+(?=:(?:\s|$)))/, quoted),
  json: join(/(?<key>"(?:\\.|[^"\\\n])*"(?=\s*:))/, quoted),
  toml: settings,
  ini: settings,
  hcl: join(hash, slashes, /(?<key>^\s*[\w.-]+(?=\s*[={]))/, quoted),
  nginx: join(hash, /(?<key>^\s*[a-z_]+)/, quoted),
  py: join(
    hash,
    /(?<string>"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')/,
    words(
      'and|as|async|await|class|def|elif|else|except|False|finally|for|from|if|import|in|is|lambda|None|not|or|pass|raise|return|True|try|while|with|yield',
    ),
  ),
  ts: program,
  js: program,
  go: program,
  java: program,
  rust: program,
}
const aliases: Readonly<Record<string, string>> = {
  bash: 'sh',
  python: 'py',
  typescript: 'ts',
  javascript: 'js',
  rs: 'rust',
  yml: 'yaml',
}

/** @returns HTML. */
export function highlight(text: string, language: string): string {
  if (language === 'console') return highlightSession(text)
  const pattern = languages[aliases[language] ?? language]
  // Drawings with lines are no commands.
  if (pattern === undefined || (language === '' && text.includes('─'))) return escapeHtml(text)
  let html = ''
  let end = 0
  for (const match of text.matchAll(pattern)) {
    const [kind] = Object.entries(match.groups ?? {}).find(([, found]) => found !== undefined) ?? ['plain']
    html += `${escapeHtml(text.slice(end, match.index))}<span class="${kind}">${escapeHtml(match[0])}</span>`
    end = match.index + match[0].length
  }
  return html + escapeHtml(text.slice(end))
}

/** Commands behind `$ `, which go on while a line ends in a backslash, and what they print. */
function highlightSession(text: string): string {
  let goesOn = false
  return text
    .split('\n')
    .map((line) => {
      const isCommand = goesOn || line.startsWith('$ ')
      goesOn = isCommand && line.endsWith('\\')
      return isCommand ? `<span class="command">${escapeHtml(line)}</span>` : escapeHtml(line)
    })
    .join('\n')
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** One expression that finds the first of several. */
function join(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join('|'), 'gm')
}
