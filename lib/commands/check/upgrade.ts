/**
 * `greylist check`: whether this binary can take over from a `serve` that runs,
 * which starts `check` with a variable that asks for this.
 *
 * @module
 */

import type { ServeConfig } from "../../serve/config.ts";
import {
  CHECK_VALUE,
  HANDOVER_VARIABLE,
  TAKES_OVER,
} from "../../serve/handover.ts";
import { variable } from "../../system/environment.ts";
import { findUser, userId } from "../../system/user.ts";
import { UsageError } from "../command.ts";
import { userOf } from "../serve/become.ts";
import { type Finding, fix, ok } from "./finding.ts";

/** Whether a `serve` that runs asks, in words that this version knows. */
export function isUpgrade(): boolean {
  return variable(HANDOVER_VARIABLE) === CHECK_VALUE;
}

/** The finding, if it was asked for. */
export function upgrade(serve: ServeConfig): Finding[] {
  if (!isUpgrade()) return [];
  try {
    // The user that serve runs as already.
    userOf(serve);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return [fix(`${error.message}: this takes a restart`)];
  }
  if (userId() === 0 && findUser(serve.user ?? "")?.uid !== 0) {
    return [fix(`serve.user: ${serve.user}: this takes a restart`)];
  }
  return [ok(TAKES_OVER)];
}
