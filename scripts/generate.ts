/**
 * Writes everything in the repository that is derived from the sources: `npm run generate`. Tests compare what is there
 * with what would be written.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { adminApi } from '../src/http/openapi/admin-api.ts'
import { publicApi } from '../src/http/openapi/public-api.ts'
import { buildOutputSchema } from './command-output.ts'
import { buildCommandReference } from './command-reference.ts'
import { buildConfigSchema } from './config-schema.ts'
import { buildDashboard } from './dashboard.ts'
import { buildApiPage } from './docs/api-page.ts'
import { buildConfigurationKeysPage } from './docs/configuration-keys.ts'
import { buildErrorsPage } from './docs/errors-page.ts'
import { buildIndexPage } from './docs/sidebar.ts'
import { buildMetricsPage } from './metrics-page.ts'
import { buildOpenApi } from './openapi.ts'

const root = join(import.meta.dirname, '..')

/** What is derived, by the file it is written to. JSON is compared as what it says, texts to the letter. */
export const generated: Readonly<Record<string, () => unknown | Promise<unknown>>> = {
  'schema/apostille.schema.json': buildConfigSchema,
  'schema/openapi.json': () => buildOpenApi(publicApi),
  'schema/openapi-admin.json': () => buildOpenApi(adminApi),
  'schema/output.schema.json': buildOutputSchema,
  'docs/command-line.md': buildCommandReference,
  'docs/metrics.md': buildMetricsPage,
  'docs/configuration-keys.md': () => buildConfigurationKeysPage(buildConfigSchema()),
  'docs/errors.md': buildErrorsPage,
  'docs/api-reference.md': buildApiPage,
  'docs/README.md': buildIndexPage,
  'deploy/grafana/apostille.json': buildDashboard,
}

/** What is in the repository. */
export function readGenerated(file: string): unknown {
  const text = readFileSync(join(root, file), 'utf8')
  return file.endsWith('.json') ? JSON.parse(text) : text
}

if (import.meta.main) {
  for (const [file, build] of Object.entries(generated)) {
    const value = await build()
    writeFileSync(join(root, file), typeof value === 'string' ? value : `${JSON.stringify(value, null, 2)}\n`)
  }
  const json = Object.keys(generated).filter((file) => file.endsWith('.json'))
  execFileSync(join(root, 'node_modules/.bin/biome'), ['format', '--write', ...json], { cwd: root, stdio: 'inherit' })
}
