import { defineConfig } from 'vitest/config'
import { slow } from './test/slow.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/interop/**', 'node_modules/**', ...slow],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // Files share what a process has imported, which is half of their time: each leaves the process as it found it.
    isolate: false,
    maxWorkers: 2,
  },
})
