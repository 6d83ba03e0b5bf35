import { expect, test } from 'vitest'
import { generated, readGenerated } from '../scripts/generate.ts'

test.each(Object.entries(generated))(
  '%s is what the sources say: `npm run generate` writes it',
  async (file, build) => {
    expect(readGenerated(file)).toEqual(JSON.parse(JSON.stringify(await build())))
  },
  // The reference runs every command for its help.
  60_000,
)
