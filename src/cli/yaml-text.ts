/**
 * Texts as YAML reads them back.
 *
 * @module
 */

/** Such as `true`, `1.0` or `~`, which are no texts when they stand bare. */
const bareText = /^(?!(?:true|false|null|yes|no|on|off)$)[A-Za-z][\w./@-]*(?::\/\/[\w./@-]+(?::\d+)?[\w./@-]*)?$/i

/** One line without line ends in it. */
export function quoteYaml(text: string): string {
  return bareText.test(text) ? text : `'${text.replaceAll("'", "''")}'`
}
