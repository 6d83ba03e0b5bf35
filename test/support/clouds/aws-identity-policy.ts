/**
 * The part of the language of identity policies and session policies that services of AWS judge a request by.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html}
 * @module
 */
import type { AwsAccessKey } from './aws-account.ts'
import { failingKeys, isLike, listOf, namesAction, type OneOrMore, type TrustStatement } from './aws-trust-policy.ts'

export interface IdentityStatement {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: OneOrMore
  readonly Resource: OneOrMore
  readonly Condition?: NonNullable<TrustStatement['Condition']>
}

export interface AwsCall {
  /** Such as `secretsmanager:PutSecretValue`. */
  readonly action: string
  readonly resource: string
  /** Of condition keys, by their names in lower case. */
  readonly values: ReadonlyMap<string, readonly string[]>
}

/** Why it is not allowed, in the words of AWS; undefined where it is. */
export function whyDenied(
  { session }: AwsAccessKey,
  policies: ReadonlyMap<string, readonly IdentityStatement[]>,
  call: AwsCall,
): string | undefined {
  const ofRole = policies.get(session?.roleArn ?? '') ?? []
  const ofSession = session?.policy === undefined ? undefined : statementsOf(session.policy)
  const all = [...ofRole, ...(ofSession ?? [])]
  if (all.some((one) => one.Effect === 'Deny' && fits(one, call))) return 'with an explicit deny in a policy'
  if (!allows(ofRole, call)) return `because no identity-based policy allows the ${call.action} action`
  if (ofSession && !allows(ofSession, call)) return `because no session policy allows the ${call.action} action`
  return undefined
}

function statementsOf(policy: string): readonly IdentityStatement[] {
  const { Statement } = JSON.parse(policy) as { readonly Statement: IdentityStatement | readonly IdentityStatement[] }
  return Array.isArray(Statement) ? Statement : [Statement as IdentityStatement]
}

function allows(statements: readonly IdentityStatement[], call: AwsCall): boolean {
  return statements.some((statement) => statement.Effect === 'Allow' && fits(statement, call))
}

function fits(statement: IdentityStatement, { action, resource, values }: AwsCall): boolean {
  return (
    namesAction(statement, action) &&
    listOf(statement.Resource).some((pattern) => isLike(resource, pattern)) &&
    failingKeys(statement, { values }).length === 0
  )
}
