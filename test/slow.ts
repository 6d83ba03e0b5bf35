/**
 * Tests that need nothing but Node and take more than their share of three minutes: `npm test` leaves them out, and
 * `npm run test:interop` runs them.
 *
 * @module
 */
export const slow: readonly string[] = [
  'test/cli/backup.test.ts',
  'test/cli/credentials.test.ts',
  'test/cli/doctor.test.ts',
  'test/cli/exec.test.ts',
  'test/cli/federation.test.ts',
  'test/cli/kv.test.ts',
  'test/cli/watch.test.ts',
  'test/examples/01-mtls-microservices.test.ts',
  'test/runtime/backup.node.test.ts',
  'test/runtime/credentials.node.test.ts',
  'test/runtime/seal-rotation.node.test.ts',
  'test/runtime/target-setup.node.test.ts',
  'test/runtimes/worker.test.ts',
]
