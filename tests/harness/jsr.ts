/**
 * Registries on the loopback: JSR's protocol (https://jsr.io/docs/api), and as much
 * of npm's as Deno needs for one package.
 *
 * @module
 */

/** A package of JSR: its modules by path, such as `/mod.ts`. */
export interface Package {
  /** With its scope. */
  readonly name: string;
  readonly version: string;
  readonly modules: Readonly<Record<string, string>>;
}

/** A registry that serves what is put into it. */
export interface Registry extends AsyncDisposable {
  /** For JSR_URL or NPM_CONFIG_REGISTRY. */
  readonly url: string;
  /** The content by path. */
  readonly files: Map<string, string | Uint8Array<ArrayBuffer>>;
}

/** Starts a registry that is empty. */
export function startRegistry(): Registry {
  const files: Registry["files"] = new Map();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const content = files.get(path);
    if (content === undefined) return new Response("", { status: 404 });
    const type = path.endsWith(".json")
      ? "application/json"
      : "text/typescript";
    return new Response(content, { headers: { "content-type": type } });
  });
  return {
    files,
    url: `http://127.0.0.1:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/**
 * Publishes a package: its modules, and the two files that describe it. A module is
 * exported under its path without `.ts`; `/mod.ts` is the package itself.
 *
 * @param more what the description of the version has besides
 * @returns the integrity value that a lock file has for it
 */
export async function publish(
  registry: Registry,
  { name, version, modules }: Package,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const manifest: Record<string, { size: number; checksum: string }> = {};
  const exports: Record<string, string> = {};
  for (const [path, text] of Object.entries(modules)) {
    const size = new TextEncoder().encode(text).length;
    manifest[path] = { size, checksum: `sha256-${await sha256(text)}` };
    exports[path === "/mod.ts" ? "." : `.${path.slice(0, -3)}`] = `.${path}`;
    registry.files.set(`/${name}/${version}${path}`, text);
  }
  const description = JSON.stringify({ manifest, exports, ...more });
  registry.files.set(`/${name}/${version}_meta.json`, description);
  const versions = { [version]: {} };
  registry.files.set(`/${name}/meta.json`, JSON.stringify({ versions }));
  return await sha256(description);
}

async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
