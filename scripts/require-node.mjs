// Plain JavaScript that an old Node can run, so that it says what to do instead of failing on syntax that it lacks.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 15)) {
  console.error(
    `Node ${process.versions.node} is too old: run \`npm ci\` with install scripts allowed (it brings Node 24 as a dependency), or put Node 24.15 or newer on the PATH.`,
  )
  process.exit(1)
}
