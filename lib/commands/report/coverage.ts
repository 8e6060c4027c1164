/**
 * Which clients need no advice, because the configuration covers them already.
 *
 * @module
 */

import { parseAddress } from "../../address.ts";
import type { ResolvedConfig } from "../../config.ts";
import type { Covered } from "../../report/advice.ts";
import { readRegularFile } from "../../system/file.ts";
import { findExemption } from "../../whitelist/exemption.ts";
import type { Client } from "../../whitelist/file.ts";
import { Index } from "../../whitelist/index.ts";
import { buildIndex } from "../../whitelist/index_builder.ts";
import { findPool } from "../../whitelist/pools.ts";

/**
 * Tells which clients the present whitelist exempts or a pool has. The log has no
 * TCPREMOTEHOST, so the HELO name is used as the host name.
 */
export function coverage({ whitelist, pools }: ResolvedConfig): Covered {
  const indexes = new Map<string, Index>();
  const search = (path: string, client: Client) => {
    let index = indexes.get(path);
    if (index === undefined) {
      index = Index.inMemory(buildIndex(readRegularFile(path), ""));
      indexes.set(path, index);
    }
    return index.search(client);
  };
  // No warnings: `greylist check` reports a whitelist file that cannot be read.
  const files = { search, warn() {} };
  return ({ ip = "", helo = "" }) => {
    const connection = {
      address: parseAddress(ip),
      host: helo.toLowerCase().replace(/\.$/, "") || undefined,
      localPort: () => undefined,
      hasVariable: () => false,
    };
    return findExemption(whitelist, connection, files) !== undefined ||
      findPool(pools, connection, files) !== undefined;
  };
}
