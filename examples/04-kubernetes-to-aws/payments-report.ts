/**
 * payments-report: any program that uses AWS. There is nothing of Apostille in it, and no key.
 *
 * @module
 */
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'

try {
  const { Arn } = await new STSClient().send(new GetCallerIdentityCommand())
  console.log(`AWS says that I am ${Arn}`)
} catch (error) {
  console.log(`the AWS SDK says: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
