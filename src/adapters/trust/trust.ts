/**
 * What a cloud has to be told so that one target works, and no more: issuer, audience and subjects to the letter.
 *
 * @module
 */

import type { Finding } from '../../core/finding.ts'
import type { Target } from '../../core/target.ts'
import type { SignatureAlgorithm } from '../../protocol/algorithms.ts'
import type { SpiffeId } from '../../protocol/spiffe-id.ts'
import type { TrustStep } from './shell.ts'
import type { UploadedKeys } from './uploaded-keys.ts'

export interface TrustInput {
  readonly issuer: string
  readonly target: Target
  /** Who acts there; at least one. */
  readonly subjects: readonly SpiffeId[]
  /** Azure: the credential belongs to a managed identity, and not to an application. */
  readonly managedIdentity?: boolean
  /** Google: the issuer's keys are uploaded, and the issuer is not asked. */
  readonly uploadedKeys?: UploadedKeys
}

export interface TrustSetup {
  /** As the cloud's API takes them. Plain JSON. */
  readonly documents: Readonly<Record<string, unknown>>
  /** With the vendor's command line. */
  readonly steps: readonly TrustStep[]
  readonly terraform: string
}

/** What is looked at before the cloud is asked. */
export interface TrustFacts extends Omit<TrustInput, 'managedIdentity'> {
  /** Of the tokens for the target. */
  readonly algorithm: SignatureAlgorithm
  /** All targets, this one included. */
  readonly targets: readonly Target[]
}

/** What there is to know of one cloud. */
export interface CloudTrust {
  readonly vendor: string
  readonly build: (input: TrustInput) => TrustSetup
  /** Codes begin with what they are about: `issuer_`, `algorithm_`, else audience, subjects and the set-up itself. */
  readonly findProblems: (facts: TrustFacts) => readonly Finding[]
  /** What other targets have of the same thing at the cloud, so that setting up this one must not undo theirs. */
  readonly findSharing: (facts: TrustFacts) => readonly Finding[]
  /** Whose clock judges the tokens. */
  readonly clockUrl: (target: Target) => Promise<string>
}

/** Other targets that a change of one and the same thing at the cloud would touch, and that others act at. */
export function sharingTargets(
  { target, targets, subjects }: Pick<TrustFacts, 'target' | 'targets' | 'subjects'>,
  isSame: (other: Target['document']) => boolean,
): readonly Target[] {
  const known = new Set(subjects.map(({ uri }) => uri))
  return targets.filter(
    ({ name, type, document, actsAs }) =>
      name !== target.name && type === target.type && isSame(document) && !(actsAs && known.has(actsAs.uri)),
  )
}

export function namesOf(targets: readonly Target[]): string {
  return targets.map(({ name }) => name).join(', ')
}
