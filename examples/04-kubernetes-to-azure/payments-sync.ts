/**
 * payments-sync: any program that uses Azure. There is nothing of Apostille in it, and no secret.
 *
 * @module
 */
import { DefaultAzureCredential } from '@azure/identity'

try {
  const { expiresOnTimestamp } = await new DefaultAzureCredential().getToken('https://vault.azure.net/.default')
  const minutes = Math.round((expiresOnTimestamp - Date.now()) / 60_000)
  console.log(`I have a token for the vault, good for ${minutes} minutes`)
} catch (error) {
  console.log(`the Azure SDK says: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
