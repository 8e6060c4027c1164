/**
 * Configuration modules as administrators write them.
 *
 * @module
 */

import { configModule } from "./binary.ts";

export const LIBRARY = /^import .*;\n/.exec(configModule({}))![0];

/** A module whose fields no type check sees. */
export function untyped(fields: string): string {
  return `${LIBRARY}
const fields: any = { baseDir: "/tmp/x", ${fields} };
export default defineConfig(fields);
`;
}

/** A module as an administrator writes it. */
export function typed(fields: string): string {
  return `${LIBRARY}
export default defineConfig({ baseDir: "/tmp/x", ${fields} });
`;
}
