/**
 * Tests that ask OpenSSL for a second opinion. `npm test` needs nothing but Node: they are left out where the command is not
 * there, and with `CI=true` they fail instead.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { test } from 'vitest'

const isThere = spawnSync('openssl', ['version']).status === 0

/** As `test`. */
export const testWithOpenssl = test.skipIf(!isThere && process.env['CI'] !== 'true')
