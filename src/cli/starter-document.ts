/**
 * The first configuration that `init` writes: complete, with comments that say what to change.
 *
 * @module
 */
import { type StarterAnswers, type StarterName, type StarterSource, starterSources } from './starter-sources.ts'
import { quoteYaml } from './yaml-text.ts'

export interface StarterInput {
  /** Of the JSON Schema: a URL, or a path as editors resolve it from the document. */
  readonly schema: string
  /** `host:port`. */
  readonly listen: string
  /** Absent: a certificate of ours. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** `trust-domain`, `issuer`, and what the sources ask. */
  readonly answers: StarterAnswers
  readonly sources: readonly StarterName[]
}

export function formatStarterDocument({ schema, listen, tls, answers, sources }: StarterInput): string {
  const trustDomain = quoteYaml(answers['trust-domain'] ?? '')
  const chosen = sources.map((name): StarterSource => starterSources[name])
  const federation = chosen.flatMap((source) => source.federation?.(answers) ?? [])
  return `# yaml-language-server: $schema=${schema}
#
# Configuration of Apostille, made by \`apostille init\`. After a change: \`apostille check\`. A running gateway takes a
# changed document by itself, as a whole or not at all.
version: 1

# The name in every SPIFFE ID: spiffe://${answers['trust-domain']}/… Another name later means another SVID for everybody.
trust_domain: ${trustDomain}

# \`iss\` of tokens, and the URL at which verifiers find the keys. It may differ from where the gateway listens, such as
# behind a load balancer; clouds want one without a port.
issuer: ${quoteYaml(answers['issuer'] ?? '')}

listen:
  address: ${quoteYaml(listen)}
${formatTls(tls)}

# Everything that is kept. Relative paths begin at the folder of this file.
store: sqlite:./data/apostille.db

# For the operators of this machine: pages that only show, with the metrics beside them. Off unless it is said.
# admin: { console: 127.0.0.1:8445 }
#
# The metrics alone, for Prometheus:
# metrics: { listen: 0.0.0.0:9464 }

# Wraps the private keys in the store: made at the first start, mode 0600. Keep a copy elsewhere, as nothing else opens
# the store.
seal: { file: ./data/seal.key }

# Each checks one kind of proof, and grants nothing by itself.
authenticators:
  # X.509-SVIDs of our own: how a workload renews.
  ours: { type: spiffe, trust_domain: ${trustDomain} }
${indent(chosen.map((source) => source.authenticator(answers)).join('\n'), 2)}
${federation.length === 0 ? '' : `\n# Trust domains whose SVIDs are taken as proofs.\nfederation:\n${indent(federation.join('\n'), 2)}\n`}
# In order: all rules that match a proof apply, and the first gives the default identity.
identities:
${indent(chosen.map((source) => source.identity(answers)).join('\n'), 2)}

# An identity has its own SVIDs by its rule. Everything else needs a permit, and a forbid wins over everything:
#
# policies:
#   - forbid: '*'
#     when: "!in_cidr(request.address, '10.0.0.0/8')"
#     reason: only from our networks
`
}

function formatTls(tls: StarterInput['tls']): string {
  if (tls === undefined)
    return `  # A certificate of ours: callers need our bundle to trust it. With a public one instead, clouds can read the issuer:
  # tls: { certificate: ./tls.crt, key: ./tls.key }
  tls: self`
  return `  # Read again when they change.
  tls: { certificate: ${quoteYaml(tls.certificate)}, key: ${quoteYaml(tls.key)} }`
}

function indent(text: string, width: number): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(width))
}
