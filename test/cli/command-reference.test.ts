import { expect, test } from 'vitest'
import { commandOutputs } from '../../scripts/command-output.ts'
import { describeCommands } from '../../src/cli/command-tree.ts'
import { commands } from '../../src/cli/program.ts'

/** What they write is that of somebody else, or lines. */
const shapeless = ['exec', 'records follow']

test('each command has a shape, and each shape a command', () => {
  expect([...Object.keys(commandOutputs), ...shapeless].sort()).toEqual(Object.keys(commands).sort())
})

test('each command is described, has an example that begins with it, and flags that say what they are', async () => {
  for (const { path, description, examples, flags, arguments: positional } of await describeCommands()) {
    expect({ path, told: description.length > 20 }).toEqual({ path, told: true })
    expect(examples.length).toBeGreaterThan(0)
    for (const example of examples) expect(example.startsWith(path)).toBe(true)
    for (const { name, description: told } of [...flags, ...positional])
      expect({ path, name, told: told !== '' }).toEqual({ path, name, told: true })
  }
})
