/**
 * The kinds of proof that there are: one row each.
 *
 * @module
 */
import type { Authenticator, AuthenticatorType } from '../../core/authenticate.ts'
import type { AuthenticatorConfig } from '../../core/config-authenticators.ts'
import { type AwsDeps, createAwsAuthenticator } from './aws.ts'
import { createJoinTokenAuthenticator, type JoinTokenDeps } from './join-token.ts'
import { createKubernetesAuthenticator } from './kubernetes.ts'
import { createOidcAuthenticator, type IssuerDeps } from './oidc.ts'
import { createSpiffeAuthenticator, type SpiffeDeps } from './spiffe.ts'

export type AuthenticatorDeps = IssuerDeps & JoinTokenDeps & SpiffeDeps & AwsDeps

type Row<Type extends AuthenticatorType> = (
  config: Extract<AuthenticatorConfig, { type: Type }>,
  deps: AuthenticatorDeps,
) => Authenticator

const table: { readonly [Type in AuthenticatorType]: Row<Type> } = {
  oidc: createOidcAuthenticator,
  kubernetes: createKubernetesAuthenticator,
  join_token: createJoinTokenAuthenticator,
  spiffe: createSpiffeAuthenticator,
  aws: createAwsAuthenticator,
}

export function createAuthenticator(config: AuthenticatorConfig, deps: AuthenticatorDeps): Authenticator {
  return (table[config.type] as Row<AuthenticatorType>)(config, deps)
}
