/**
 * Scripts that complete commands, flags and their values in a shell.
 *
 * They know the words before the cursor: a flag that takes a value is followed by it, and the first words that are none
 * of these name the command.
 *
 * @module
 */
import type { DescribedCommand, DescribedFlag } from './command-tree.ts'

export const shells = ['bash', 'zsh', 'fish'] as const

export type Shell = (typeof shells)[number]

interface Place {
  /** Words of the command, empty for the program itself. */
  readonly path: string
  readonly words: readonly { readonly word: string; readonly about: string }[]
}

export function formatCompletion(shell: Shell, commands: readonly DescribedCommand[]): string {
  return { bash: formatBash, zsh: formatZsh, fish: formatFish }[shell](commands)
}

/** The program, and each group: what can come next. */
function placesOf(commands: readonly DescribedCommand[]): readonly Place[] {
  const byGroup = Map.groupBy(commands, ({ path }) => path.split(' ')[0] ?? '')
  const top = [...byGroup].map(([name, [first, ...more]]) => ({
    word: name,
    about: more.length === 0 && first !== undefined && first.path === name ? first.summary : `commands of ${name}`,
  }))
  const groups = [...byGroup].flatMap(([path, members]): readonly Place[] => {
    const inner = members.filter((member) => member.path !== path)
    if (inner.length === 0) return []
    return [
      { path, words: inner.map((member) => ({ word: member.path.slice(path.length + 1), about: member.summary })) },
    ]
  })
  return [{ path: '', words: top }, ...groups]
}

const single = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
const firstSentence = (text: string) => text.replace(/^required: /, '').split(/ \(|[:;.](?:\s|$)/, 1)[0] ?? ''

/** Every flag of any command that is followed by a value. */
function valueFlags(commands: readonly DescribedCommand[]): readonly string[] {
  const all = commands.flatMap(({ flags }) => flags.filter(({ takesValue }) => takesValue).map(({ name }) => name))
  return [...new Set(all)].sort()
}

/** Flags of a command whose value is one of some, or the path of something. */
const listed = ({ flags }: DescribedCommand) => flags.filter(({ choices }) => choices.length > 0)
const paths = ({ flags }: DescribedCommand) => flags.filter(({ isPath }) => isPath)
const names = (flags: readonly DescribedFlag[]) => flags.map(({ name }) => name).join('|')

function formatBash(commands: readonly DescribedCommand[]): string {
  const cases = commands.map((command) => {
    const [argument] = command.arguments
    const values = listed(command).map(({ name, choices }) => `        ${name}) words=${single(choices.join(' '))} ;;`)
    const files = paths(command).length === 0 ? [] : [`        ${names(paths(command))}) files=1 ;;`]
    const flags = command.flags.map(({ name }) => name).join(' ')
    const own = argument?.choices.length ? argument.choices.join(' ') : ''
    return `    ${single(command.path)})
      case "$prev" in
${[...values, ...files].join('\n')}
        ${valueCase(command)}*) words=${single([own, flags, '--help'].filter(Boolean).join(' '))}${argument?.isPath ? '; files=1' : ''} ;;
      esac ;;`
  })
  const groups = placesOf(commands).map(
    ({ path, words }) =>
      `    ${single(path)}) words=${single([...words.map(({ word }) => word), '--help'].join(' '))} ;;`,
  )
  return `# Completion for bash. Put it to use with: source <(apostille completion bash)
_apostille() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev='' path='' words='' files='' word skip='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    prev=$word
    if [[ -n $skip ]]; then skip=''; continue; fi
    case "$word" in
      ${valueFlags(commands).join('|')}) skip=1 ;;
      -*) ;;
      *) case "$path" in
        ${placesOf(commands)
          .map(({ path }) => single(path))
          .join('|')}) path="\${path:+$path }$word" ;;
      esac ;;
    esac
  done
  case "$path" in
${[...groups, ...cases].join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _apostille apostille
`
}

/** A flag whose value nobody can guess is followed by nothing that is offered. */
function valueCase({ flags }: DescribedCommand): string {
  const free = flags.filter(({ takesValue, isPath, choices }) => takesValue && !isPath && choices.length === 0)
  return free.length === 0 ? '' : `${names(free)}) ;;\n        `
}

function formatZsh(commands: readonly DescribedCommand[]): string {
  const describedAs = (word: string, about: string) => single(`${word.replaceAll(':', '\\:')}:${firstSentence(about)}`)
  const groups = placesOf(commands).map(
    ({ path, words }) =>
      `    ${single(path)}) local -a next=(${words.map(({ word, about }) => describedAs(word, about)).join(' ')})
      _describe command next ;;`,
  )
  const cases = commands.map((command) => {
    const flags = command.flags.map(zshFlag)
    const positional = command.arguments.map(({ name, isPath, choices }, index) => {
      const action = choices.length > 0 ? `(${choices.join(' ')})` : isPath ? '_files' : ' '
      return single(`${index + 1}:${name}:${action}`)
    })
    return `    ${single(command.path)}) _arguments -s ${[...flags, ...positional, "'--help[show help]'"].join(' ')} ;;`
  })
  return `#compdef apostille
# Completion for zsh. Put it to use with: source <(apostille completion zsh)
_apostille() {
  local path_='' skip='' word
  local -i at last=1
  for ((at = 2; at < CURRENT; at++)); do
    word=$words[at]
    if [[ -n $skip ]]; then skip=''; continue; fi
    case "$word" in
      ${valueFlags(commands).join('|')}) skip=1 ;;
      -*) ;;
      *) case "$path_" in
        ${placesOf(commands)
          .map(({ path }) => single(path))
          .join('|')}) path_="\${path_:+$path_ }$word"; last=at ;;
      esac ;;
    esac
  done
  # What follows sees the command as one word.
  words=("$path_" "\${(@)words[last+1,-1]}")
  ((CURRENT -= last - 1))
  case "$path_" in
${[...groups, ...cases].join('\n')}
  esac
}
if [[ $funcstack[1] == _apostille ]]; then _apostille "$@"; else compdef _apostille apostille; fi
`
}

function zshFlag({ name, takesValue, isPath, choices, description }: DescribedFlag): string {
  const about = firstSentence(description).replaceAll(/[[\]\\]/g, '\\$&')
  if (!takesValue) return single(`${name}[${about}]`)
  const action = choices.length > 0 ? `(${choices.join(' ')})` : isPath ? '_files' : ' '
  return single(`${name}[${about}]:value:${action}`)
}

function formatFish(commands: readonly DescribedCommand[]): string {
  const at = (path: string) => single(`test (__apostille_path) = ${path === '' ? '""' : `"${path}"`}`)
  const about = (text: string) => single(firstSentence(text)).replaceAll(`'\\''`, `\\'`)
  const words = placesOf(commands).flatMap(({ path, words: next }) =>
    next.map(({ word, about: told }) => `complete -c apostille -n ${at(path)} -a ${single(word)} -d ${about(told)}`),
  )
  const flags = commands.flatMap(({ path, flags: own, arguments: [argument] }) => [
    ...own.map(({ name, takesValue, isPath, choices, description }) => {
      const value = choices.length > 0 ? ` -xa ${single(choices.join(' '))}` : isPath ? ' -rF' : takesValue ? ' -x' : ''
      return `complete -c apostille -n ${at(path)} -l ${name.replace(/^--/, '')}${value} -d ${about(description)}`
    }),
    ...(argument?.choices.length
      ? [`complete -c apostille -n ${at(path)} -a ${single(argument.choices.join(' '))}`]
      : []),
    ...(argument?.isPath ? [`complete -c apostille -n ${at(path)} -F`] : []),
  ])
  return `# Completion for fish. Put it to use with: apostille completion fish | source
function __apostille_path
  set -l path ''
  set -l skip ''
  for word in (commandline -opc)[2..-1]
    if test -n "$skip"
      set skip ''
      continue
    end
    switch $word
      case ${valueFlags(commands).join(' ')}
        set skip 1
      case '-*'
      case '*'
        switch $path
          case ${placesOf(commands)
            .map(({ path }) => single(path))
            .join(' ')}
            set path (string trim "$path $word")
        end
    end
  end
  echo $path
end
complete -c apostille -f
${[...words, ...flags].join('\n')}
`
}
