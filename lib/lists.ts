/**
 * The rules on which clients wait, read once and kept in memory: for `serve`,
 * `learn` and `report`.
 *
 * @module
 */

import type { Address } from "./address.ts";
import type { ResolvedConfig } from "./config.ts";
import type { ClientConnection } from "./whitelist/exemption.ts";
import type { FilesOf } from "./who_waits.ts";
import { RuleFiles } from "./whitelist/rule_files.ts";

/** The facts about a connection that rules are matched against. */
export interface ConnectionFacts {
  readonly address: Address | undefined;
  readonly host?: string;
  /** The variables of the rule of `serve.rules`. */
  readonly env: Readonly<Record<string, string>>;
  localPort(): number | undefined;
}

/** The variables and files of the sections `whitelist`, `only` and `pools`. */
export class Lists {
  readonly #files: Readonly<Record<Parameters<FilesOf>[0], RuleFiles>>;
  /** Variables of `whitelist.env` and `only.env` that this process has. */
  readonly #variables: ReadonlySet<string>;

  /** @param isSet whether this process has an environment variable */
  constructor(
    { whitelist, only, pools }: ResolvedConfig,
    isSet: (name: string) => boolean,
  ) {
    this.#files = {
      whitelist: new RuleFiles(whitelist.files, "whitelist"),
      only: new RuleFiles(only?.files ?? [], "only"),
      pools: new RuleFiles(pools.flatMap(({ files }) => files), "pools"),
    };
    const names = [...whitelist.env, ...only?.env ?? []];
    this.#variables = new Set(names.filter(isSet));
  }

  /**
   * Reads all files.
   *
   * @param read gives a file's text, or rejects
   * @param warn called for files that cannot be read, and for bad lines
   */
  async load(
    read: (path: string) => Promise<string>,
    warn: (section: string, message: string) => void,
  ): Promise<void> {
    for (const files of Object.values(this.#files)) {
      await files.load(read, (message) => warn(files.section, message));
    }
  }

  /** The files of a section. */
  readonly filesOf: FilesOf = (section) => this.#files[section];

  /** A client as rules are matched against it. */
  clientOf(
    { address, host, env, localPort }: ConnectionFacts,
  ): ClientConnection {
    return {
      address,
      host,
      localPort,
      hasVariable: (name) =>
        Object.hasOwn(env, name) || this.#variables.has(name),
    };
  }
}
