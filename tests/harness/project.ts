/**
 * Where the project is.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";

/** The folder of the project, with a slash at its end. */
export const PROJECT: string = fromFileUrl(new URL("../../", import.meta.url));
