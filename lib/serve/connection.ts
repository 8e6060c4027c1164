/**
 * One connection of `serve` on its way from accept(2) to its end.
 *
 * @module
 */

import type { Network } from "../address.ts";
import type { ClientFields } from "../log/line.ts";
import type { Accepted } from "../system/listener.ts";
import type { SocketName } from "../system/socket.ts";

/** A connection whose ends are known. */
export interface Addressed extends Accepted {
  /** The server's end, if a PROXY header has named it. */
  readonly local?: SocketName;
}

/** A connection on its way through the check. */
export interface Connection extends Addressed {
  readonly client: ClientFields;
  readonly network: Network;
  /** The variables of the rule of `serve.rules`. */
  readonly env: Readonly<Record<string, string>>;
  readonly host?: string;
  /** Takes the connection out of the count of its network; called once. */
  release(): void;
}

/** What it takes to close a connection. */
export type Closable = Pick<Connection, "fd" | "release">;
