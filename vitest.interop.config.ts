import { configDefaults, defineConfig } from 'vitest/config'
import { excludedForWantOfTools } from './test/interop/support/tools.ts'
import { slow } from './test/slow.ts'

export default defineConfig({
  test: {
    include: ['test/interop/**/*.test.ts', ...slow],
    exclude: [...configDefaults.exclude, ...excludedForWantOfTools()],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})
