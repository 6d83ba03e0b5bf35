export function createGcpSecretManager(): never {
  throw new Error('x')
}
