/**
 * `apostille completion`
 *
 * @module
 */
import { Argument, type Command } from 'commander'
import { describeCommands } from '../command-tree.ts'
import { formatCompletion, type Shell, shells } from '../completion-scripts.ts'
import { act, examples, type OutputOptions, withOutput } from '../options.ts'

export function define(command: Command): void {
  command
    .description(
      'Print a script with which a shell completes commands, flags and their values. For bash and zsh put `source <(apostille completion bash)` into .bashrc or .zshrc, for fish `apostille completion fish | source` into config.fish.',
    )
    .addArgument(new Argument('<shell>', 'which shell it is for').choices([...shells]))
  examples(withOutput(command), 'completion bash', 'completion fish')
  act<OutputOptions>(command, async (output, _, [shell]) => {
    const script = formatCompletion(shell as Shell, await describeCommands())
    output.result({ shell, script }, script)
  })
}
