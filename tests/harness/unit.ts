/**
 * Unit files of systemd, as the manual shows them.
 *
 * @module
 */

/** The settings of a section, in their order. */
export type Settings = ReadonlyMap<string, readonly string[]>;

/**
 * The settings of section [Service]. An empty value takes back the values before
 * it, as in systemd.service(5).
 *
 * @param text a unit file, with drop-ins behind it
 */
export function serviceOf(text: string): Settings {
  const settings = new Map<string, string[]>();
  let isService = false;
  for (const line of text.split("\n")) {
    if (/^\s*(#|$)/.test(line)) continue;
    if (line.startsWith("[")) {
      isService = line === "[Service]";
      continue;
    }
    const match = /^([A-Za-z]+)=(.*)$/.exec(line);
    if (match === null) throw new Error(`no setting: ${line}`);
    if (!isService) continue;
    const [, name, value] = match;
    const before = value === "" ? [] : settings.get(name) ?? [];
    settings.set(name, [...before, value]);
  }
  return settings;
}

/** The last value of a setting. */
export function valueOf(settings: Settings, name: string): string | undefined {
  return settings.get(name)?.at(-1);
}

/** All words of a setting. */
export function wordsOf(settings: Settings, name: string): string[] {
  return (settings.get(name) ?? []).join(" ").split(" ").filter((word) =>
    word !== ""
  );
}
