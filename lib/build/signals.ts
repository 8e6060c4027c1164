/**
 * The signals that end a task of the project.
 *
 * @module
 */

import { C } from "../system/constants.ts";

/** By name, as Deno wants them; the exit code is 128 and the number. */
export const SIGNALS = {
  SIGHUP: C.SIGHUP,
  SIGINT: C.SIGINT,
  SIGTERM: C.SIGTERM,
} as const;
