/** Appends records for as long as it lives, and says of each, after it was answered for, that it is kept: its number. */
import { createRecordWriter } from '../../src/adapters/stores/record-writer.ts'
import { createSqliteStore } from '../../src/adapters/stores/sqlite.node.ts'
import { createMacKey } from '../../src/core/record-chain.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { testMacKey } from './record-chain.ts'

const [path = '', first = '0', callers = '8'] = process.argv.slice(2)
const store = createSqliteStore({ path, trustDomain: 'example.org' })
const macKey = createMacKey(testMacKey)
const writer = await createRecordWriter({ store, chain: () => 'main', macKey, telemetry: silentTelemetry })
let next = Number(first)

async function appendForever(): Promise<void> {
  for (;;) {
    const number = next++
    const entry = { time: new Date(), operation: 'test', decision: 'granted' as const, requestId: String(number) }
    await writer.append([entry])
    process.stdout.write(`${number}\n`)
  }
}

try {
  await Promise.all(Array.from({ length: Number(callers) }, appendForever))
} catch (error) {
  const { code, reason } = error as { readonly code?: string; readonly reason?: string }
  process.stderr.write(`${code}: ${reason}\n`)
}
