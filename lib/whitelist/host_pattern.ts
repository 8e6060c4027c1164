/**
 * Host names as whitelists have them.
 *
 * @module
 */

/** Whether the text is a host name, or with a leading dot a suffix of one. */
export function isHostPattern(text: string): boolean {
  // Numbers alone are no host: a mistyped address must not become a name.
  return text.length <= 255 && !/^[\d.]+$/.test(text) &&
    /^\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/i
      .test(text);
}
