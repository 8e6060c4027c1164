/**
 * `greylist serve`: the sockets that it listens on.
 *
 * @module
 */

import {
  HANDOVER_VARIABLE,
  takeHandover,
  type Taken,
} from "../../serve/handover.ts";
import type { ListenAddress } from "../../serve/listen_address.ts";
import { E } from "../../system/constants.ts";
import { inheritedListeners, type Listening } from "../../system/inherited.ts";
import { isErrno } from "../../system/libc.ts";
import { listenOn } from "../../system/listener.ts";
import { formatSocketName, type SocketName } from "../../system/socket.ts";
import { TemporaryError, UsageError } from "../command.ts";

/**
 * Takes the sockets of sd_listen_fds(3).
 *
 * @throws {UsageError} if one of them is no listening TCP socket
 */
export function inheritedSockets(): Listening[] {
  try {
    return inheritedListeners();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/**
 * Takes what the image before this one has handed over in an upgrade.
 *
 * @returns undefined if this is no upgrade
 * @throws {UsageError} if one of the sockets is no listening TCP socket
 */
export function handedOver(): Taken | undefined {
  try {
    return takeHandover();
  } catch (error) {
    throw new UsageError(`${HANDOVER_VARIABLE}: ${(error as Error).message}`);
  }
}

/**
 * Opens one listening socket. If no address is given, the socket accepts IPv6 and
 * IPv4, or only IPv4 if this machine has no IPv6.
 *
 * @throws {TemporaryError} if it cannot be opened
 */
export function listenAt(
  { address, port }: ListenAddress,
  backlog: number,
): Listening {
  const everywhere6: SocketName = { address: { family: 6, value: 0n }, port };
  const everywhere4: SocketName = { address: { family: 4, value: 0n }, port };
  let name = address === undefined ? everywhere6 : { address, port };
  try {
    try {
      return { name, fd: listenOn(name, backlog) };
    } catch (error) {
      // Without IPv6 in the kernel there is no such family.
      const isWithout6 = isErrno(error, E.EAFNOSUPPORT);
      if (address !== undefined || !isWithout6) throw error;
      name = everywhere4;
      return { name, fd: listenOn(name, backlog) };
    }
  } catch (error) {
    const { message } = error as Error;
    throw new TemporaryError(`${formatSocketName(name)}: ${message}`);
  }
}
