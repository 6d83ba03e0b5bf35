/**
 * AWS: an OIDC provider in the account, and the trust policy of the role.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html OIDC providers}
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html Session tags}
 * @module
 */
import type { AwsTargetDocument } from '../../core/config-targets.ts'
import { type Finding, findError, findWarning } from '../../core/finding.ts'
import type { Target } from '../../core/target.ts'
import { isLiteral } from '../../core/template.ts'
import { awsEndpoint } from '../aws-endpoint.ts'
import { formatHcl, formatHclObject, type HclObject, hclExpression, hclName } from './hcl.ts'
import { formatAsciiJson, formatCommand, formatFile, quoteFlag, quoteWord, type TrustStep } from './shell.ts'
import { type CloudTrust, namesOf, sharingTargets, type TrustFacts, type TrustInput } from './trust.ts'

export const awsTrust: CloudTrust = {
  vendor: 'AWS',
  build(input) {
    const plan = planTrust(input)
    return { documents: documentsOf(plan), steps: stepsOf(plan), terraform: terraformOf(plan) }
  },
  findProblems: findAwsTrustProblems,
  findSharing: findSharedRole,
  async clockUrl({ document }) {
    const { endpoint, region } = document as AwsTargetDocument
    return endpoint ?? awsEndpoint('sts', region)
  },
}

interface AwsPlan {
  readonly target: Target
  readonly issuer: string
  readonly providerArn: string
  /** Path with its slashes, and name. */
  readonly role: { readonly arn: string; readonly path: string; readonly name: string }
  readonly maxSessionSeconds: number
  readonly policy: TrustPolicy
}

interface TrustPolicy {
  readonly Version: '2012-10-17'
  readonly Statement: readonly TrustStatement[]
}

interface TrustStatement {
  readonly Effect: 'Allow'
  readonly Principal: { readonly Federated: string }
  readonly Action: string | readonly string[]
  readonly Condition: { readonly StringEquals: Readonly<Record<string, string | readonly string[]>> }
}

function planTrust({ issuer, target, subjects }: TrustInput): AwsPlan {
  const document = target.document as AwsTargetDocument
  const [arn = '', partition = '', account = '', path = '', name = ''] =
    /^arn:([^:]+):iam::(\d+):role(\/(?:.*\/)?)([^/]+)$/.exec(document.role_arn) ?? []
  const providerName = issuer.replace(/^https:\/\//, '')
  const providerArn = `arn:${partition}:iam::${account}:oidc-provider/${providerName}`
  const statement: TrustStatement = {
    Effect: 'Allow',
    Principal: { Federated: providerArn },
    Action: actionsFor(document),
    Condition: {
      StringEquals: {
        [`${providerName}:aud`]: escapeVariables(target.audience),
        [`${providerName}:sub`]: oneOrAll(subjects.map(({ uri }) => uri)),
        ...literalTags(target),
      },
    },
  }
  return {
    target,
    issuer,
    providerArn,
    role: { arn, path, name },
    maxSessionSeconds: document.session_duration,
    policy: { Version: '2012-10-17', Statement: [statement] },
  }
}

function oneOrAll(texts: readonly string[]): string | readonly string[] {
  const [first = '', ...rest] = texts
  return rest.length === 0 ? first : texts
}

/** A token with tags or a source identity is refused where the role does not let it have them. */
function actionsFor({ tags, source_identity }: AwsTargetDocument): string | readonly string[] {
  return oneOrAll([
    'sts:AssumeRoleWithWebIdentity',
    ...(Object.keys(tags).length > 0 ? ['sts:TagSession'] : []),
    ...(source_identity ? ['sts:SetSourceIdentity'] : []),
  ])
}

function literalTags({ tags }: Target): Readonly<Record<string, string>> {
  const literal = tags.filter(([, template]) => isLiteral(template))
  return Object.fromEntries(literal.map(([key, { text }]) => [`aws:RequestTag/${key}`, escapeVariables(text)]))
}

/** `${…}` would be a policy variable. */
function escapeVariables(text: string): string {
  return text.replace(/\$(?=\{)/g, () => `\${$}`)
}

function documentsOf({ issuer, providerArn, target, role, maxSessionSeconds, policy }: AwsPlan) {
  return {
    oidc_provider: { arn: providerArn, url: issuer, client_ids: [target.audience] },
    role: { arn: role.arn, max_session_duration: maxSessionSeconds, trust_policy: policy },
  }
}

const defaultSessionSeconds = 3600

function stepsOf({ target, issuer, providerArn, role, maxSessionSeconds, policy }: AwsPlan): readonly TrustStep[] {
  const file = `${target.name}.trust-policy.json`
  const name = quoteFlag('--role-name', role.name)
  const longer = maxSessionSeconds > defaultSessionSeconds ? [`--max-session-duration ${maxSessionSeconds}`] : []
  return [
    {
      title: 'The account knows the issuer: once for each account.',
      commands: [createProvider(issuer, target.audience)],
      otherwise: [
        { when: 'Where it does already, the audience is added:', command: addAudience(providerArn, target.audience) },
      ],
    },
    {
      title: `The role trusts it for this subject and audience alone. What the role may do is yours to say.`,
      commands: [
        formatFile(file, policy),
        formatCommand(
          'aws iam create-role',
          name,
          ...(role.path === '/' ? [] : [`--path ${quoteWord(role.path)}`]),
          ...longer,
          `--assume-role-policy-document ${quoteWord(`file://${file}`)}`,
        ),
      ],
      otherwise: [
        {
          when: 'Where the role is there already (this replaces what it trusts now):',
          command: `aws iam update-assume-role-policy ${name} --policy-document ${quoteWord(`file://${file}`)}`,
        },
        ...longer.map((flag) => ({ when: 'and:', command: `aws iam update-role ${name} ${flag}` })),
      ],
    },
  ]
}

/** Anything else could be taken for a list, a file or a URL to read. */
const plain = /^\w[\w.-]*$/

function createProvider(issuer: string, audience: string): string {
  if (plain.test(audience))
    return formatCommand(
      'aws iam create-open-id-connect-provider',
      `--url ${quoteWord(issuer)}`,
      `--client-id-list ${audience}`,
    )
  const input = formatAsciiJson({ Url: issuer, ClientIDList: [audience] })
  return formatCommand('aws iam create-open-id-connect-provider', `--cli-input-json ${quoteWord(input)}`)
}

function addAudience(providerArn: string, audience: string): string {
  const command = 'aws iam add-client-id-to-open-id-connect-provider'
  if (plain.test(audience))
    return `${command} --open-id-connect-provider-arn ${quoteWord(providerArn)} --client-id ${audience}`
  const input = formatAsciiJson({ OpenIDConnectProviderArn: providerArn, ClientID: audience })
  return `${command} --cli-input-json ${quoteWord(input)}`
}

function terraformOf({ target, issuer, providerArn, role, maxSessionSeconds, policy }: AwsPlan): string {
  const provider = 'aws_iam_openid_connect_provider.apostille'
  const [statement] = policy.Statement
  const written: HclObject = {
    Version: policy.Version,
    Statement: [{ ...statement, Principal: { Federated: hclExpression(`${provider}.arn`) } } as unknown as HclObject],
  }
  return formatHcl(
    [
      `Trust of AWS for target ${target.name} of ${issuer}`,
      'Where the account has the provider already:',
      `terraform import ${provider} ${quoteWord(providerArn)}`,
    ],
    [
      {
        type: 'resource',
        labels: ['aws_iam_openid_connect_provider', 'apostille'],
        attributes: { url: issuer, client_id_list: [target.audience] },
      },
      {
        type: 'resource',
        labels: ['aws_iam_role', hclName(target.name)],
        attributes: {
          name: role.name,
          path: role.path,
          max_session_duration: Math.max(maxSessionSeconds, defaultSessionSeconds),
          assume_role_policy: hclExpression(`jsonencode(${formatHclObject(written, '  ')})`),
        },
      },
    ],
  )
}

/** `TokenIssuer` URLs and the quota of IAM. */
const maxIssuerLength = 255
const maxPolicyLength = 2048
const maxSubjectLength = 255

function findAwsTrustProblems(facts: TrustFacts): readonly Finding[] {
  const { issuer, subjects } = facts
  const found: Finding[] = []
  if (new URL(issuer).port !== '')
    found.push(findError('issuer_port', 'the issuer has a port, which AWS refuses', 'serve it on port 443'))
  if (issuer.length > maxIssuerLength)
    found.push(findError('issuer_too_long', `AWS takes an issuer of at most ${maxIssuerLength} characters`, shorter))
  for (const { uri } of subjects.filter(({ uri }) => uri.length > maxSubjectLength))
    found.push(
      findError('subject_too_long', `AWS takes at most ${maxSubjectLength} characters: ${uri}`, shorterSubject),
    )
  const length = JSON.stringify(planTrust(facts).policy).length
  if (length > maxPolicyLength)
    found.push(
      findWarning(
        'trust_policy_too_long',
        `the trust policy has ${length} characters, and the quota of a role is ${maxPolicyLength} unless it was raised`,
        'let the target act as one identity (acts_as), or make several roles',
      ),
    )
  return found
}

const shorter = 'give it a shorter one'
const shorterSubject = 'give the workload a shorter path, or let the target act as another identity (acts_as)'

function findSharedRole(facts: TrustFacts): readonly Finding[] {
  const arn = (facts.target.document as AwsTargetDocument).role_arn
  const sharing = sharingTargets(facts, (other) => 'role_arn' in other && other.role_arn === arn)
  if (sharing.length === 0) return []
  const message = `this role is the one of ${namesOf(sharing)} as well, and its trust policy holds a statement for each`
  return [findWarning('role_shared', message, 'put the statements of all of them into the policy')]
}
