/**
 * Port: an authority above ours, which signs our X.509 authorities as intermediates.
 *
 * @module
 */
import type { Certificate } from '../protocol/certificate.ts'
import type { Signer } from '../protocol/signer.ts'

/** What is needed to sign one intermediate, read at that moment: files may have been replaced since the last. */
export interface UpstreamAuthority {
  readonly certificate: Certificate
  readonly signer: Signer
  /** Certificates between `certificate` and a root, `certificate` itself first unless it is a root. */
  readonly chain: readonly Certificate[]
  /** What verifiers trust. */
  readonly roots: readonly Certificate[]
}

export type ReadUpstreamAuthority = () => Promise<UpstreamAuthority>
