import { expect, test } from 'vitest'
import { computeAwsSignature, readAwsSignature } from '../support/clouds/aws-signature.ts'

const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'

test.each([
  ['get-vanilla', '', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  [
    'get-vanilla-query-order',
    '?Param2=value2&Param1=value1',
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
])('%s of the SigV4 test suite', (_, search, wanted) => {
  const scope = 'AKIDEXAMPLE/20150830/us-east-1/service/aws4_request'
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;x-amz-date, Signature=${wanted}`
  const headers = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z', authorization }
  const request = { method: 'GET', path: '/', search, headers, body: '' }
  const signature = readAwsSignature(request)
  expect(signature && computeAwsSignature(request, signature, secret)).toBe(wanted)
})

test("the presigned ListUsers of AWS's documentation", () => {
  const wanted = '37ac2f4fde00b0ac9bd9eadeb459b1bbee224158d66e7ae5fcadb70b2d181d02'
  const search =
    '?Action=ListUsers&Version=2010-05-08&X-Amz-Algorithm=AWS4-HMAC-SHA256' +
    '&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fiam%2Faws4_request&X-Amz-Date=20150830T123600Z' +
    `&X-Amz-Expires=60&X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=${wanted}`
  const headers = { host: 'iam.amazonaws.com', 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
  const request = { method: 'GET', path: '/', search, headers, body: '' }
  const signature = readAwsSignature(request)
  expect(signature).toMatchObject({ where: 'query', expires: '60', wrong: [] })
  expect(signature && computeAwsSignature(request, signature, secret)).toBe(wanted)
})
