/**
 * Credentials for google-auth-library.
 *
 * @see {@link https://cloud.google.com/iam/docs/workload-identity-federation Google: workload identity federation}
 * @module
 */
import { createCredentialSource, createJwtSvidSource, type FreshOptions, type TargetOptions } from './fresh-client.ts'

export interface GoogleSupplierOptions extends FreshOptions {
  /** Of the tokens, where it is not the provider's own name, which is the default. */
  readonly audience?: string
}

/** A `SubjectTokenSupplier`. */
export interface GoogleSubjectTokenSupplier {
  readonly getSubjectToken: (context: { readonly audience: string }) => Promise<string>
}

/**
 * A `SubjectTokenSupplier`: the library exchanges a JWT-SVID at Google by itself.
 *
 *     new IdentityPoolClient({
 *       audience: '//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/prod/providers/apostille',
 *       subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
 *       subject_token_supplier: createGoogleSubjectTokenSupplier({ server, token }),
 *     })
 *
 * The identity rule of the workload lists the audience, letter by letter.
 *
 * @throws {ApostilleError} `usage`
 */
export function createGoogleSubjectTokenSupplier(options: GoogleSupplierOptions): GoogleSubjectTokenSupplier {
  const source = createJwtSvidSource(options)
  return {
    getSubjectToken: async (context) => (await source({ audience: options.audience ?? context.audience })).token,
  }
}

/** `access_token`, and `expiry_date` in milliseconds since 1970. */
export interface GoogleAccessToken {
  readonly access_token: string
  readonly expiry_date: number
}

/**
 * A `refreshHandler`: the gateway exchanges at Google, and `exchange` policies decide.
 *
 *     const auth = new OAuth2Client()
 *     auth.refreshHandler = createGoogleRefreshHandler({ server, target: 'payments-storage', token })
 *
 * @throws {ApostilleError} `usage`
 */
export function createGoogleRefreshHandler(options: TargetOptions): () => Promise<GoogleAccessToken> {
  const source = createCredentialSource(options, 'gcp')
  return async () => {
    const { accessToken, expiresAt } = await source()
    return { access_token: accessToken, expiry_date: expiresAt.getTime() }
  }
}
