/**
 * `greylist check`: whitelists, pools and the files of `only`, line by line.
 *
 * @module
 */

import type { ResolvedConfig } from "../../config.ts";
import { quote } from "../../log/line.ts";
import { PEER_VARIABLES } from "../../peer.ts";
import { counted } from "../../report/format.ts";
import { readRegularFile } from "../../system/file.ts";
import { unreadable, type Whitelist } from "../../whitelist/exemption.ts";
import { eachRule, type Fault, parseRule } from "../../whitelist/file.ts";
import { doubt, type Finding, fix, ok, warn } from "./finding.ts";
import { tooWide } from "./too_wide.ts";

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
  const compiled = compiledLines("whitelist", { networks, hosts });
  findings.push(...wideLines("whitelist", compiled));
  const listed = ruleFiles("whitelist", files);
  return {
    findings: [...findings, ...listed.findings],
    namesHosts: hosts.length > 0 || listed.namesHosts,
  };
}

/** Looks at the members of all pools. */
export function poolMembers(pools: ResolvedConfig["pools"]): ListFindings {
  const compiled = pools.flatMap((pool, i) =>
    compiledLines(`pools[${i}]`, pool)
  );
  const listed = ruleFiles("pools", pools.flatMap(({ files }) => files));
  return {
    findings: [...wideLines("pools", compiled), ...listed.findings],
    namesHosts: pools.some(({ hosts }) => hosts.length > 0) ||
      listed.namesHosts,
  };
}

/** The rules in the configuration itself, as lines. */
function compiledLines(
  field: string,
  { networks, hosts }: Pick<Whitelist, "networks" | "hosts">,
): Line[] {
  return [
    ...networks.map(({ text }, i) => ({
      at: `${field}.networks[${i}]`,
      content: text,
    })),
    ...hosts.map((content, i) => ({ at: `${field}.hosts[${i}]`, content })),
  ];
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

/** A section of the configuration that names files with rules. */
type Section = "whitelist" | "only" | "pools";

/**
 * What a rule does with the clients that it has. A rule of `only` lets no client in:
 * however wide the rule is, no more clients wait than without `only`. Some sites
 * greylist all names of a country, or all of IPv4. So no line of `only` is too wide.
 */
const EFFECTS: Readonly<Record<Section, string | undefined>> = {
  whitelist: "exempts",
  pools: "one retry lets in",
  only: undefined,
};

/** Looks at the files of a section. */
export function ruleFiles(
  section: Section,
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

/** @throws {Error} if the file cannot be read */
function readFile(path: string, section: Section): ListFindings {
  const bad: (Line & Fault)[] = [];
  const wide: Line[] = [];
  let namesHosts = false;
  eachRule(readRegularFile(path), (rule, number, content) => {
    const line = { at: `${path}:${number}`, content };
    if ("fault" in rule) bad.push({ ...line, ...rule });
    else {
      namesHosts ||= !("network" in rule);
      if (tooWide(rule) !== undefined) wide.push(line);
    }
  });
  const findings = wideLines(section, wide);
  if (bad.length > 0) {
    findings.push(fix(
      `${shown(bad[0])}: ${bad[0].fault} ` +
        `(${counted(bad.length, "bad line")} in all)`,
    ));
  }
  if (findings.length === 0) findings.push(ok(`${section} file ${path}`));
  return { findings, namesHosts };
}

/** One warning about those of the lines that have too many clients. */
function wideLines(section: Section, lines: readonly Line[]): Finding[] {
  const effect = EFFECTS[section];
  if (effect === undefined) return [];
  return doubt(
    "line",
    lines.flatMap((line) => {
      const rule = parseRule(line.content);
      const whom = "fault" in rule ? undefined : tooWide(rule);
      return whom === undefined ? [] : [`${shown(line)}: ${effect} ${whom}`];
    }),
  );
}

function shown({ at, content }: Line): string {
  return `${at}: ${quote(content.slice(0, 60))}`;
}
