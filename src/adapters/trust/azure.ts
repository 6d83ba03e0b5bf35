/**
 * Azure: federated credentials of an application or of a managed identity, one for each subject.
 *
 * @see {@link https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations Considerations}
 * @see {@link https://learn.microsoft.com/graph/api/resources/federatedidentitycredential federatedIdentityCredential}
 * @module
 */
import type { AzureTargetDocument } from '../../core/config-targets.ts'
import { type Finding, findError, findWarning } from '../../core/finding.ts'
import { shortName, type Target } from '../../core/target.ts'
import type { SpiffeId } from '../../protocol/spiffe-id.ts'
import { formatHcl, type HclBlock, hclExpression, hclName } from './hcl.ts'
import { formatCommand, formatFile, quoteWord, type TrustStep } from './shell.ts'
import { type CloudTrust, namesOf, sharingTargets, type TrustFacts, type TrustInput } from './trust.ts'

export const azureTrust: CloudTrust = {
  vendor: 'Azure',
  build(input) {
    const plan = planTrust(input)
    return {
      documents: documentsOf(plan),
      steps: [plan.managedIdentity ? identityStep(plan) : applicationStep(plan)],
      terraform: formatHcl(
        [`Trust of Azure for target ${plan.target.name} of ${plan.issuer}`],
        plan.managedIdentity ? identityBlocks(plan) : applicationBlocks(plan),
      ),
    }
  },
  findProblems: findAzureTrustProblems,
  findSharing: findSharedApplication,
  clockUrl: async ({ document }) => (document as AzureTargetDocument).authority_host,
}

interface FederatedCredential {
  readonly name: string
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly [string]
  readonly description: string
}

interface AzurePlan {
  readonly target: Target
  readonly issuer: string
  readonly tenant: string
  readonly clientId: string
  readonly managedIdentity: boolean
  readonly credentials: readonly FederatedCredential[]
}

function planTrust({ issuer, target, subjects, managedIdentity = false }: TrustInput): AzurePlan {
  const { tenant, client_id: clientId } = target.document as AzureTargetDocument
  const credentials = subjects.map((subject) => ({
    name: credentialName(subject),
    issuer,
    subject: subject.uri,
    audiences: [target.audience] as const,
    description: `Apostille target ${target.name}`,
  }))
  return { target, issuer, tenant, clientId, managedIdentity, credentials }
}

/** 3 to 120 letters, digits, dashes and underscores; can not be changed later, so it follows from the subject alone. */
function credentialName(subject: SpiffeId): string {
  return `apostille-${shortName(subject).replaceAll('.', '-')}`
}

function documentsOf({ tenant, clientId, credentials }: AzurePlan) {
  return { tenant, client_id: clientId, federated_credentials: credentials }
}

function applicationStep({ tenant, clientId, credentials }: AzurePlan): TrustStep {
  return {
    title: `The application trusts the issuer for each subject (in tenant ${tenant}; a managed identity: --managed-identity).`,
    commands: credentials.flatMap((credential) => {
      const file = `${credential.name}.json`
      return [
        formatFile(file, credential),
        formatCommand('az ad app federated-credential create', `--id ${clientId}`, `--parameters ${`@${file}`}`),
      ]
    }),
  }
}

/** Its name and group are looked up, as the target knows its client id only. One write at a time: Azure refuses others. */
function identityStep({ tenant, clientId, credentials }: AzurePlan): TrustStep {
  const query = (member: string) =>
    formatCommand(
      `az identity list`,
      `--query ${quoteWord(`[?clientId=='${clientId}'].${member} | [0]`)}`,
      '--output tsv',
    )
  return {
    title: `The managed identity trusts the issuer for each subject (in tenant ${tenant}, and in the subscription of the identity).`,
    commands: [
      `identity=$(${query('name')})`,
      `group=$(${query('resourceGroup')})`,
      ...credentials.map(({ name, issuer, subject, audiences: [audience] }) =>
        formatCommand(
          'az identity federated-credential create',
          `--name ${name}`,
          '--identity-name "$identity"',
          '--resource-group "$group"',
          `--issuer ${quoteWord(issuer)}`,
          `--subject ${quoteWord(subject)}`,
          quoteAzFlag('--audiences', audience),
        ),
      ),
    ],
  }
}

/** `az` reads a value that begins with `@` from a file. */
function quoteAzFlag(name: string, value: string): string {
  if (value.startsWith('@')) return `${name} @<(printf %s ${quoteWord(value)})`
  return `${name}${value.startsWith('-') ? '=' : ' '}${quoteWord(value)}`
}

function subjectsByName(credentials: AzurePlan['credentials']) {
  return Object.fromEntries(credentials.map(({ name, subject }) => [name, subject]))
}

function applicationBlocks({ target, issuer, clientId, credentials }: AzurePlan): readonly HclBlock[] {
  const label = hclName(target.name)
  return [
    { type: 'data', labels: ['azuread_application', label], attributes: { client_id: clientId } },
    {
      type: 'resource',
      labels: ['azuread_application_federated_identity_credential', label],
      attributes: {
        for_each: subjectsByName(credentials),
        application_id: hclExpression(`data.azuread_application.${label}.id`),
        display_name: hclExpression('each.key'),
        description: `Apostille target ${target.name}`,
        issuer,
        subject: hclExpression('each.value'),
        audiences: [target.audience],
      },
    },
  ]
}

function identityBlocks({ target, issuer, credentials }: AzurePlan): readonly HclBlock[] {
  const label = hclName(target.name)
  const variable = (name: string, description: string): HclBlock => ({
    type: 'variable',
    labels: [`${label}_${name}`],
    attributes: { type: hclExpression('string'), description },
  })
  return [
    variable('identity', 'Name of the managed identity'),
    variable('resource_group', 'Resource group of the managed identity'),
    {
      type: 'data',
      labels: ['azurerm_user_assigned_identity', label],
      attributes: {
        name: hclExpression(`var.${label}_identity`),
        resource_group_name: hclExpression(`var.${label}_resource_group`),
      },
    },
    {
      type: 'resource',
      labels: ['azurerm_federated_identity_credential', label],
      attributes: {
        for_each: subjectsByName(credentials),
        name: hclExpression('each.key'),
        resource_group_name: hclExpression(`var.${label}_resource_group`),
        parent_id: hclExpression(`data.azurerm_user_assigned_identity.${label}.id`),
        issuer,
        subject: hclExpression('each.value'),
        audience: [target.audience],
      },
    },
  ]
}

const maxTextLength = 600
const maxCredentials = 20

function findAzureTrustProblems(facts: TrustFacts): readonly Finding[] {
  const { issuer, target, subjects, algorithm } = facts
  const found: Finding[] = []
  if (issuer.length > maxTextLength)
    found.push(
      findError('issuer_too_long', `Entra takes an issuer of at most ${maxTextLength} characters`, 'shorten it'),
    )
  if (algorithm !== 'RS256')
    found.push(
      findError('algorithm_refused', `Entra takes RS256 only, and not ${algorithm}`, 'list RS256 in authorities.jwt'),
    )
  for (const { uri } of subjects.filter(({ uri }) => uri.length > maxTextLength))
    found.push(
      findError(
        'subject_too_long',
        `Entra takes at most ${maxTextLength} characters: ${uri}`,
        'give the workload a shorter path, or let the target act as another identity (acts_as)',
      ),
    )
  if (target.audience.trim() !== target.audience)
    found.push(findError('audience_blank', 'Entra takes no audience with a blank at an end', 'take the blank away'))
  const count = subjects.length
  if (count > maxCredentials)
    found.push(
      findError(
        'too_many_credentials',
        `Entra takes ${maxCredentials} federated credentials of an application or identity, and these are ${count}`,
        'let the target act as one identity (acts_as), or make several applications',
      ),
    )
  return found
}

/** Their credentials stand side by side, until there are too many. */
function findSharedApplication(facts: TrustFacts): readonly Finding[] {
  const { client_id: clientId } = facts.target.document as AzureTargetDocument
  const isSame = (other: Target['document']) =>
    'client_id' in other && other.client_id.toLowerCase() === clientId.toLowerCase()
  const sharing = sharingTargets(facts, isSame)
  const acting = new Set(sharing.map(({ name, actsAs }) => actsAs?.uri ?? name))
  const count = facts.subjects.length + acting.size
  if (count <= maxCredentials) return []
  const message = `with those of ${namesOf(sharing)} these are at least ${count} federated credentials, and Entra takes ${maxCredentials}`
  return [findWarning('application_shared', message, 'let targets act as one identity, or make several applications')]
}
