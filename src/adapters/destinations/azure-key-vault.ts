export function createAzureKeyVault(): never {
  throw new Error('x')
}
