/**
 * `greylist check`: the whitelists, and the files of `only` and of pools, line by
 * line.
 *
 * @module
 */

import { formatNetwork } from "../../address.ts";
import type { ResolvedConfig } from "../../config.ts";
import { quote } from "../../log/line.ts";
import { PEER_VARIABLES } from "../../peer.ts";
import { counted } from "../../report/format.ts";
import { readRegularFile } from "../../system/file.ts";
import { unreadable } from "../../whitelist/exemption.ts";
import {
  eachRule,
  type Fault,
  parseRule,
  type Rule,
} from "../../whitelist/file.ts";
import { type Finding, fix, ok, warn } from "./finding.ts";

/** The findings about lists of rules. */
export interface ListFindings {
  readonly findings: readonly Finding[];
  /** Whether a rule names hosts: it can match only if clients have names. */
  readonly namesHosts: boolean;
}

/** A rule and the place that a message names. */
interface Line {
  readonly at: string;
  readonly content: string;
}

/** Looks at all whitelists of a configuration. */
export function whitelists(
  { networks, hosts, files, env, localPorts }: ResolvedConfig["whitelist"],
): ListFindings {
  const findings: Finding[] = [];
  env.forEach((name, i) => {
    const whom = setFor(name);
    if (whom === undefined) return;
    findings.push(warn(
      `whitelist.env[${i}]: ${quote(name)}: ` +
        `set for ${whom}, and exempts them all: is that meant?`,
    ));
  });
  const smtp = localPorts.indexOf(SMTP);
  if (smtp >= 0) {
    findings.push(warn(
      `whitelist.localPorts[${smtp}]: ${SMTP}: exempts every client of the port ` +
        "where mail of other servers comes in: is that meant?",
    ));
  }
  const compiled = [
    ...networks.map(({ text }, i) => ({
      at: `whitelist.networks[${i}]`,
      content: text,
    })),
    ...hosts.map((content, i) => ({ at: `whitelist.hosts[${i}]`, content })),
  ];
  findings.push(...wideLines(compiled));
  const listed = ruleFiles("whitelist", files);
  return {
    findings: [...findings, ...listed.findings],
    namesHosts: hosts.length > 0 || listed.namesHosts,
  };
}

/** The port to which servers send mail (RFC 5321 section 4.5.4.2). */
const SMTP = 25;

/** The clients for which a variable is set, if they are most of all clients. */
function setFor(variable: string): string | undefined {
  if (/^(TCP6?|SSL)REMOTEHOST$/.test(variable)) {
    return "every client that has a name";
  }
  const always = PEER_VARIABLES.some((name) => name === variable) ||
    // tcp-environ(5), for tcpserver, its IPv6 builds and sslserver.
    /^(TCP6?|SSL)(LOCAL|REMOTE)(IP|PORT|HOST)$/.test(variable) ||
    EVERYWHERE.includes(variable);
  return always ? "every client" : undefined;
}

/** Variables that most services have, whoever the client is. */
const EVERYWHERE = [
  "PROTO",
  // systemd.exec(5), socat(1).
  "REMOTE_PORT",
  "SOCAT_PEERPORT",
  // environ(7).
  "HOME",
  "LANG",
  "LOGNAME",
  "PATH",
  "PWD",
  "SHELL",
  "SHLVL",
  "TERM",
  "USER",
];

/**
 * Looks at the files of a section. Lines of `only` and of pools exempt no client, so
 * none of them is too wide.
 */
export function ruleFiles(
  section: "whitelist" | "only" | "pools",
  files: readonly string[],
): ListFindings {
  const findings: Finding[] = [];
  let namesHosts = false;
  for (const path of files) {
    try {
      const file = readFile(path, section);
      findings.push(...file.findings);
      namesHosts ||= file.namesHosts;
    } catch (error) {
      findings.push(fix(unreadable(path, error, section)));
    }
  }
  return { findings, namesHosts };
}

/**
 * @param section the section of the configuration that names the file
 * @throws {Error} if the file cannot be read
 */
function readFile(path: string, section: string): ListFindings {
  const bad: (Line & Fault)[] = [];
  const wide: Line[] = [];
  let namesHosts = false;
  eachRule(readRegularFile(path), (rule, number, content) => {
    const line = { at: `${path}:${number}`, content };
    if ("fault" in rule) bad.push({ ...line, ...rule });
    else {
      namesHosts ||= !("network" in rule);
      if (section === "whitelist" && tooWide(rule) !== undefined) {
        wide.push(line);
      }
    }
  });
  const findings = wideLines(wide);
  if (bad.length > 0) {
    findings.push(fix(
      `${shown(bad[0])}: ${bad[0].fault} ` +
        `(${counted(bad.length, "bad line")} in all)`,
    ));
  }
  if (findings.length === 0) findings.push(ok(`${section} file ${path}`));
  return { findings, namesHosts };
}

/** One warning about those of the lines that exempt too many. */
function wideLines(lines: readonly Line[]): Finding[] {
  const wide = lines.flatMap((line) => {
    const rule = parseRule(line.content);
    const why = "fault" in rule ? undefined : tooWide(rule);
    return why === undefined ? [] : [{ line, why }];
  });
  if (wide.length === 0) return [];
  const [{ line, why }] = wide;
  const all = counted(wide.length, "line like that", "lines like that");
  return [warn(`${shown(line)}: ${why}: is that meant? (${all} in all)`)];
}

function shown({ at, content }: Line): string {
  return `${at}: ${quote(content.slice(0, 60))}`;
}

/** The widest networks that are probably meant: an RIR allocates no wider ones. */
const WIDEST = { 4: 8, 6: 16 };

/** Says what a rule exempts, if the rule is probably a mistake. */
function tooWide(rule: Rule): string | undefined {
  if ("network" in rule) {
    const { family, prefix } = rule.network;
    if (prefix >= WIDEST[family]) return undefined;
    return `exempts ${formatNetwork(rule.network)}, more than a /${
      WIDEST[family]
    }`;
  }
  if ("expression" in rule) return undefined;
  const name = rule.name.replace(/^\./, "");
  // RFC 6761 section 6.3: no host of the Internet has this name.
  if (name.includes(".") || name === "localhost") return undefined;
  return `exempts every name that ends in .${name}`;
}
