/**
 * The part of the language of trust policies that web identities need. What is outside of it is an error of the test,
 * never a silent no or yes.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html}
 * @module
 */

export type OneOrMore = string | readonly string[]

export interface TrustPolicy {
  readonly Version: '2012-10-17'
  readonly Statement: TrustStatement | readonly TrustStatement[]
}

export interface TrustStatement {
  readonly Sid?: string
  readonly Effect: 'Allow' | 'Deny'
  readonly Principal: { readonly Federated?: OneOrMore; readonly AWS?: OneOrMore; readonly Service?: OneOrMore }
  readonly Action: OneOrMore
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore>>>>
}

/** What a call is judged by. Keys are lower case; one that is missing is absent from the call. */
export interface TrustRequest {
  /** ARN of the OIDC provider. */
  readonly federated: string
  readonly values: ReadonlyMap<string, readonly string[]>
}

export const listOf = (value: OneOrMore): readonly string[] => (typeof value === 'string' ? [value] : value)

export function statementsOf({ Statement }: TrustPolicy): readonly TrustStatement[] {
  return Array.isArray(Statement) ? Statement : [Statement as TrustStatement]
}

export function namesPrincipal(statement: TrustStatement, request: TrustRequest): boolean {
  return listOf(statement.Principal.Federated ?? []).includes(request.federated)
}

/** Names of actions are case-insensitive, and may hold wildcards. */
export function namesAction(statement: Pick<TrustStatement, 'Action'>, action: string): boolean {
  return listOf(statement.Action).some((pattern) => isLike(action.toLowerCase(), pattern.toLowerCase()))
}

/** The keys of conditions that do not hold, in lower case. */
export function failingKeys(
  statement: Pick<TrustStatement, 'Condition'>,
  request: Pick<TrustRequest, 'values'>,
): readonly string[] {
  return Object.entries(statement.Condition ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys)
      .filter(([key, wanted]) => !holds(operator, request.values.get(key.toLowerCase()), listOf(wanted)))
      .map(([key]) => key.toLowerCase()),
  )
}

/** Whether some statement allows the action, and none denies it. */
export function allows(policy: TrustPolicy, action: string, request: TrustRequest): boolean {
  const fitting = statementsOf(policy).filter(
    (statement) =>
      namesPrincipal(statement, request) &&
      namesAction(statement, action) &&
      failingKeys(statement, request).length === 0,
  )
  return fitting.some(({ Effect }) => Effect === 'Allow') && fitting.every(({ Effect }) => Effect === 'Allow')
}

type Test = (value: string, wanted: string) => boolean

const tests: Readonly<Record<string, Test>> = {
  StringEquals: (value, wanted) => value === wanted,
  StringEqualsIgnoreCase: (value, wanted) => value.toLowerCase() === wanted.toLowerCase(),
  StringLike: (value, wanted) => isLike(value, wanted),
}

/** A key that is absent from the call fails; under a negated operator, or one that ends in `IfExists`, it holds. */
function holds(operator: string, values: readonly string[] | undefined, wanted: readonly string[]): boolean {
  const [, quantifier = '', negated = '', tail = '', ifExists = ''] =
    /^(ForAllValues:|ForAnyValue:)?String(Not)?(Equals|EqualsIgnoreCase|Like)(IfExists)?$/.exec(operator) ?? []
  const test = tests[`String${tail}`]
  if (!test) throw new Error(`trust policies of this double do not know the operator ${operator}`)
  if (values === undefined) return negated !== '' || ifExists !== '' || quantifier === 'ForAllValues:'
  const fits = (value: string) => wanted.some((one) => test(value, one)) !== (negated !== '')
  return quantifier === 'ForAllValues:' ? values.every(fits) : values.some(fits)
}

export function isLike(value: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^]*')
    .replaceAll('?', '[^]')
  return new RegExp(`^${source}$`).test(value)
}
