/**
 * payments-reports: any program that uses Google Cloud. There is nothing of Apostille in it, and no key.
 *
 * @module
 */
import { GoogleAuth } from 'google-auth-library'

try {
  const auth = new GoogleAuth({ scopes: ['https://www.googleapis.com/auth/devstorage.read_only'] })
  await auth.getAccessToken()
  console.log('I have an access token of Google')
} catch (error) {
  console.log(`the Google library says: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
