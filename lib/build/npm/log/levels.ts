/**
 * Levels under the names of @std/log 0.224; the npm package has an older one,
 * which says WARNING for WARN. The numbers are the same.
 *
 * @module
 */

export const LogLevels = {
  NOTSET: 0,
  DEBUG: 10,
  INFO: 20,
  WARN: 30,
  ERROR: 40,
  CRITICAL: 50,
} as const;

export type LevelName = keyof typeof LogLevels;
export type LogLevel = typeof LogLevels[LevelName];

export const LogLevelNames: LevelName[] = Object.keys(
  LogLevels,
) as LevelName[];

/** @throws {Error} on a name that is none of them */
export function getLevelByName(name: LevelName): LogLevel {
  if (Object.hasOwn(LogLevels, name)) return LogLevels[name];
  throw new Error(`Cannot get log level: no level named ${name}`);
}

/** @throws {Error} on a number that is none of them */
export function getLevelName(level: LogLevel): LevelName {
  const name = LogLevelNames.find((name) => LogLevels[name] === level);
  if (name !== undefined) return name;
  throw new Error(`Cannot get log level: no name for level: ${level}`);
}

/** The name that the npm package knows a level by. */
export function oldName(name: LevelName): string {
  getLevelByName(name);
  return name === "WARN" ? "WARNING" : name;
}
