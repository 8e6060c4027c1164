/**
 * Which clients need no advice, because the configuration covers them already.
 *
 * @module
 */

import { parseAddress } from "../../address.ts";
import type { ResolvedConfig } from "../../config.ts";
import { Lists } from "../../lists.ts";
import type { Covered } from "../../report/advice.ts";
import { readRegularFileLater } from "../../system/background_file.ts";
import { findExemption } from "../../whitelist/exemption.ts";
import { findPool } from "../../whitelist/pools.ts";

/**
 * Tells which clients the present whitelist exempts or a pool has. The log has no
 * TCPREMOTEHOST, so the HELO name is used as the host name.
 */
export async function coverage(config: ResolvedConfig): Promise<Covered> {
  const { whitelist, pools } = config;
  const lists = new Lists(config, () => false);
  // No warnings: `greylist check` reports a whitelist file that cannot be read.
  await lists.load(readRegularFileLater, () => {});
  return ({ ip = "", helo = "" }) => {
    const client = lists.clientOf({
      address: parseAddress(ip),
      host: helo.toLowerCase().replace(/\.$/, "") || undefined,
      env: {},
      localPort: () => undefined,
    });
    return findExemption(whitelist, client, lists.filesOf("whitelist")) !==
        undefined ||
      findPool(pools, client, lists.filesOf("pools")) !== undefined;
  };
}
