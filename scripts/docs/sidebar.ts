/**
 * The pages of the documentation in their order: what the sidebar shows, and the index of `docs/README.md`. A page that is
 * not there yet is left out of both.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

export interface SidebarPage {
  /** Path from the root of the repository. */
  readonly file: string
  readonly title: string
  /** One line for the index. */
  readonly about: string
}

export interface SidebarSection {
  readonly title: string
  readonly pages: readonly SidebarPage[]
}

const row = (file: string, title: string, about: string): SidebarPage => ({ file, title, about })

/** Where the site begins. */
export const indexFile = 'docs/README.md'

const sections: readonly SidebarSection[] = [
  {
    title: 'Give workloads an identity',
    pages: [
      row('docs/get-started.md', 'Get started', 'from an empty folder to a first SVID that something else verified'),
      row('docs/kubernetes.md', 'Kubernetes', 'each pod its SPIFFE ID, by its service account'),
      row(
        'docs/ci.md',
        'CI systems',
        'GitHub, GitLab, Buildkite, CircleCI, Terraform Cloud: jobs without stored secrets',
      ),
      row('docs/virtual-machines.md', 'Virtual machines', 'join tokens, and machines that a cloud vouches for'),
      row('docs/policies.md', 'Rules and policies', 'a cookbook of conditions'),
      row(
        'docs/federation.md',
        'Federation with SPIRE',
        'two trust domains that verify each other, or a SPIRE below Apostille',
      ),
    ],
  },
  {
    title: 'Use an identity',
    pages: [
      row('docs/verify-jwt-svid.md', 'Verify a JWT-SVID', 'in five languages'),
      row(
        'docs/mtls-nginx-envoy.md',
        'mTLS with nginx and Envoy',
        'certificates that stay fresh in servers that know nothing of SPIFFE',
      ),
      row('docs/sdk.md', 'SDK', 'SVIDs that renew themselves, and peers that are checked, in TypeScript'),
      row(
        'docs/using-cloud-credentials.md',
        'Use a cloud without keys',
        'for service teams: what a program has to be told',
      ),
    ],
  },
  {
    title: 'Clouds and secrets',
    pages: [
      row('docs/cloud-credentials.md', 'Credentials of clouds', 'for operators: AWS, Azure and Google Cloud'),
      row('docs/kv.md', 'Secrets', 'our own versioned store'),
      row('docs/secret-sync.md', 'Secret sync', 'secrets that are kept equal in the stores of clouds'),
      row('docs/secret-destinations.md', 'Stores of secrets', 'what each of the three does'),
    ],
  },
  {
    title: 'Operate',
    pages: [
      row('deploy/README.md', 'Deploy', 'manifests, chart, image, unit'),
      row('docs/operations.md', 'Operations', 'sizing, upgrades, and the loss of a machine'),
      row(
        'docs/high-availability.md',
        'High availability',
        'many replicas on PostgreSQL, and what holds when parts fail',
      ),
      row('docs/workers.md', 'Cloudflare Workers', 'the same gateway without a server'),
      row('docs/backup-and-restore.md', 'Backup and restore', 'and the rotation of the seal key'),
      row('docs/rotation.md', 'Rotation of authorities', 'how signing keys change, by themselves and by hand'),
      row('docs/compromise.md', 'A key is compromised', 'what to do, in order'),
      row('docs/records.md', 'Records', 'who got what and why, and proof that none was changed'),
      row('docs/console.md', 'Console', 'pages that show what a gateway is doing'),
      row('docs/alerts.md', 'Alerts', 'each alert, and what to do'),
      row('docs/tracing.md', 'Traces', 'OpenTelemetry'),
    ],
  },
  {
    title: 'Reference',
    pages: [
      row('docs/errors.md', 'Errors', 'every code with its cause and its remedy'),
      row('docs/configuration.md', 'Configuration', 'explained, with examples'),
      row('docs/configuration-keys.md', 'Configuration, every key', 'type, default and meaning of each'),
      row('docs/command-line.md', 'Command line', 'every command, flag and shape of output'),
      row('docs/http-api.md', 'HTTP API', 'explained, with requests to try'),
      row('docs/api-reference.md', 'HTTP API, every route', 'parameters, bodies and answers of each'),
      row('docs/metrics.md', 'Metrics', 'every metric and label'),
    ],
  },
  {
    title: 'The project',
    pages: [
      row('examples/README.md', 'Examples', 'scenarios that run on a laptop'),
      row('docs/performance.md', 'Performance', 'what was measured, and how'),
      row('docs/limits.md', 'Known limits', 'what it does not do, or not as one might expect'),
      row('docs/dependencies.md', 'Dependencies', 'what each is for'),
      row('CONTRIBUTING.md', 'Contributing', 'where things are, and what a change looks like'),
      row('CHANGELOG.md', 'Changelog', 'what changed for those who use it'),
    ],
  },
]

/** The pages that are there. */
export const sidebar: readonly SidebarSection[] = sections.map(({ title, pages }) => ({
  title,
  pages: pages.filter(({ file }) => existsSync(join(root, file))),
}))

/** `docs/README.md` */
export function buildIndexPage(): string {
  return `# Documentation of Apostille

Apostille gives workloads short-lived [SPIFFE](https://spiffe.io) identities for what they can already prove: a Kubernetes service
account, a job of a CI system, a machine, an SVID of another trust domain. New here? [Get started](get-started.md).

Something fails? [Errors](errors.md) has every code with its remedy, [alerts](alerts.md) every alert, and
[a key is compromised](compromise.md) what to do then.
${sidebar.map(formatSection).join('')}`
}

function formatSection({ title, pages }: SidebarSection): string {
  const lines = pages.map(({ file, title, about }) => `- [${title}](${fromDocs(file)}): ${about}`)
  return `\n## ${title}\n\n${lines.join('\n')}\n`
}

function fromDocs(file: string): string {
  return file.startsWith('docs/') ? file.slice('docs/'.length) : `../${file}`
}
