/**
 * The kinds of workload that `init` writes a first configuration for: what has to be known of each, and what of the
 * document it becomes.
 *
 * @module
 */
import { quoteYaml } from './yaml-text.ts'

export interface StarterQuestion {
  /** As the flag is written, without the dashes. */
  readonly flag: string
  readonly question: string
  /** Shown after the question, and in the help. */
  readonly example: string
  /** What is taken where nothing is answered; absent: it must be answered. */
  readonly initial?: string
  /** What every answer looks like. None of them lets a quote or a line end through. */
  readonly pattern: RegExp
  /** Completes «expected …». */
  readonly expected: string
}

/** Answers by flag. */
export type StarterAnswers = Readonly<Record<string, string>>

export interface StarterSource {
  readonly title: string
  readonly questions: readonly StarterQuestion[]
  /** Below `authenticators`, without the indent. */
  readonly authenticator: (answers: StarterAnswers) => string
  /** Below `identities`. */
  readonly identity: (answers: StarterAnswers) => string
  /** Below `federation`. */
  readonly federation?: (answers: StarterAnswers) => string
  /** What to do before the first workload asks; commands between backticks. */
  readonly next: (answers: StarterAnswers) => string
}

export const httpsPattern = /^https:\/\/[A-Za-z0-9.:[\]-]+(?:\/[\w.~%/-]*)?$/
export const trustDomainPattern = /^[a-z0-9._-]{1,255}$/
const oneOrMore = /^[\w.-]+(?:\/[\w.-]+)+$/

const answer = (answers: StarterAnswers, flag: string): string => answers[flag] ?? ''

/** Where a proof says that it is for us. */
const audienceOf = (answers: StarterAnswers) => quoteYaml(answer(answers, 'issuer'))

export const starterSources = {
  kubernetes: {
    title: 'Pods of a Kubernetes cluster',
    questions: [
      {
        flag: 'kubernetes-issuer',
        question: "Issuer of the cluster's service account tokens",
        example: 'https://oidc.cluster.example',
        pattern: httpsPattern,
        expected: 'an https URL',
      },
    ],
    authenticator: (answers) => `# Tokens of service accounts, projected into pods with our issuer as their audience.
# The issuer is what \`kubectl get --raw /.well-known/openid-configuration\` says.
cluster:
  type: kubernetes
  issuer: ${quoteYaml(answer(answers, 'kubernetes-issuer'))}
  audience: ${audienceOf(answers)}
  # token_review: asks the API server whether the pod is still there.`,
    identity: () => `# Each service account is an identity, but for those that nobody chose.
- name: pods
  from: cluster
  when: proof.service_account != 'default' && proof.namespace != 'kube-system'
  spiffe_id: /ns/\${proof.namespace}/sa/\${proof.service_account}
  dns_names: ['\${proof.service_account}.\${proof.namespace}.svc']
  audiences: []                         # of JWT-SVIDs: who takes them, such as https://api.example.org`,
    next: () =>
      'project a token with our issuer as its audience into your pods: `volumes[].projected.sources[].serviceAccountToken`',
  },
  github: {
    title: 'Jobs of GitHub Actions',
    questions: [
      {
        flag: 'github-repository',
        question: 'Repository whose jobs get an identity',
        example: 'acme/web',
        pattern: /^[\w-]+\/[\w.-]+$/,
        expected: 'OWNER/NAME',
      },
    ],
    authenticator: (answers) => `# Tokens of jobs, which need \`permissions: { id-token: write }\`.
github:
  type: oidc
  preset: github
  audience: ${audienceOf(answers)}`,
    identity: (answers) => `# Only the main branch: a pull request runs what strangers wrote.
- name: github
  from: github
  when: proof.repository == '${answer(answers, 'github-repository')}' && proof.ref == 'refs/heads/main'
  spiffe_id: /ci/github/${answer(answers, 'github-repository')}
  audiences: []`,
    next: () => 'give the job `permissions: { id-token: write }`, and ask for a token with our issuer as its audience',
  },
  gitlab: {
    title: 'Jobs of GitLab CI',
    questions: [
      {
        flag: 'gitlab-project',
        question: 'Project whose jobs get an identity',
        example: 'acme/web',
        pattern: oneOrMore,
        expected: 'GROUP/PROJECT',
      },
      {
        flag: 'gitlab-url',
        question: 'URL of GitLab',
        example: 'https://gitlab.com',
        initial: 'https://gitlab.com',
        pattern: httpsPattern,
        expected: 'an https URL',
      },
    ],
    authenticator: (
      answers,
    ) => `# ID tokens of jobs: \`id_tokens: { APOSTILLE_TOKEN: { aud: ${answer(answers, 'issuer')} } }\`.
gitlab:
  type: oidc
  preset: gitlab
  issuer: ${quoteYaml(answer(answers, 'gitlab-url'))}
  audience: ${audienceOf(answers)}`,
    identity: (answers) => `# Only protected branches: whoever may push to others may not have this.
- name: gitlab
  from: gitlab
  when: proof.project_path == '${answer(answers, 'gitlab-project')}' && proof.ref_protected == 'true'
  spiffe_id: /ci/gitlab/${answer(answers, 'gitlab-project')}
  audiences: []`,
    next: () => 'give the job `id_tokens` with our issuer as `aud`',
  },
  buildkite: {
    title: 'Jobs of Buildkite',
    questions: [
      {
        flag: 'buildkite-pipeline',
        question: 'Pipeline whose jobs get an identity',
        example: 'acme/web',
        pattern: /^[\w.-]+\/[\w.-]+$/,
        expected: 'ORGANIZATION/PIPELINE',
      },
    ],
    authenticator: (
      answers,
    ) => `# Tokens of jobs: \`buildkite-agent oidc request-token --audience ${answer(answers, 'issuer')}\`.
buildkite:
  type: oidc
  preset: buildkite
  audience: ${audienceOf(answers)}`,
    identity: (answers) => {
      const [organization, pipeline] = answer(answers, 'buildkite-pipeline').split('/')
      return `- name: buildkite
  from: buildkite
  when: proof.organization_slug == '${organization}' && proof.pipeline_slug == '${pipeline}' && proof.build_branch == 'main'
  spiffe_id: /ci/buildkite/${organization}/${pipeline}
  audiences: []`
    },
    next: () => 'let the job ask for its token with `buildkite-agent oidc request-token`',
  },
  vm: {
    title: 'Virtual machines and bare metal, by join token',
    questions: [],
    authenticator:
      () => `# Tokens that an operator makes, one for each machine: \`apostille join-token create vm --name web-1\`.
vm: { type: join_token }`,
    identity: () => `# A machine proves itself once by its token, and renews by its certificate from then on.
- name: machines
  from: vm
  spiffe_id: /vm/\${proof.name}
  renewable_for: 30d
  audiences: []`,
    next: () => 'make a token for a machine: `apostille join-token create vm --name web-1`',
  },
  spire: {
    title: 'Workloads of a SPIRE deployment',
    questions: [
      {
        flag: 'spire-trust-domain',
        question: 'Trust domain of SPIRE',
        example: 'spire.example',
        pattern: trustDomainPattern,
        expected: 'a trust domain name in lower case',
      },
      {
        flag: 'spire-endpoint',
        question: 'Its bundle endpoint',
        example: 'https://spire.example:8443',
        pattern: httpsPattern,
        expected: 'an https URL',
      },
    ],
    authenticator: (answers) => `# SVIDs that SPIRE issued, verified with its bundle: see federation below.
spire: { type: spiffe, trust_domain: ${quoteYaml(answer(answers, 'spire-trust-domain'))} }`,
    identity: () => `# Each of its workloads has the same path with us, below /spire-domain.
- name: spire
  from: spire
  spiffe_id: /spire-domain\${proof.path}
  audiences: []`,
    federation: (answers) => {
      const domain = answer(answers, 'spire-trust-domain')
      return `# Trust begins with the bundle in this file, and is kept fresh from the endpoint.
${quoteYaml(domain)}:
  bundle: ${quoteYaml(`trust-bundles/${domain}.json`)}
  endpoint: ${quoteYaml(answer(answers, 'spire-endpoint'))}
  profile: https_spiffe
  endpoint_spiffe_id: ${quoteYaml(`spiffe://${domain}/spire/server`)}`
    },
    next: (answers) =>
      `bring its bundle here: \`spire-server bundle show -format spiffe > bundle.json\`, then \`apostille federation import ${answer(answers, 'spire-trust-domain')} --from bundle.json\``,
  },
} as const satisfies Readonly<Record<string, StarterSource>>

export type StarterName = keyof typeof starterSources

export const starterNames = Object.keys(starterSources) as readonly StarterName[]

/** What is asked whatever the workloads are. */
export const commonQuestions: readonly StarterQuestion[] = [
  {
    flag: 'trust-domain',
    question: 'Trust domain, the name in every SPIFFE ID',
    example: 'example.org',
    pattern: trustDomainPattern,
    expected: 'a trust domain name in lower case',
  },
  {
    flag: 'issuer',
    question: 'Issuer, the URL at which the world finds this gateway',
    example: 'https://id.example.org',
    pattern: httpsPattern,
    expected: 'an https URL without query or fragment',
  },
]

/** Of these sources, in the order in which they are asked. */
export function questionsFor(names: readonly StarterName[]): readonly StarterQuestion[] {
  return names.flatMap((name): readonly StarterQuestion[] => starterSources[name].questions)
}
