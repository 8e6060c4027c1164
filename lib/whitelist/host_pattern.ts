/**
 * Host names as whitelists have them.
 *
 * @module
 */

/**
 * Whether the text is a host name, or with a leading dot a suffix of one.
 *
 * A mistyped address must not become a name that no client ever has, so two kinds
 * of text are none. No more than these, since names such as
 * `1.2.3.4.dyn.example.net` and `192-0-2-1.example` are real.
 *
 * - The last label has no letter: `192.0.2`, `192.0.2.37-53` (tcprules(1)),
 *   `192.0.2.1-192.0.2.9`, `192.0.2.0_24` (an entry). A top-level domain is
 *   alphabetic (RFC 1123 section 2.1, RFC 3696 section 2).
 * - Numbers, and then one letter in place of each other number: `192.0.2.x`,
 *   `10.x.x.x`. No top-level domain has one letter.
 */
export function isHostPattern(text: string): boolean {
  return text.length <= 255 &&
    /^\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/i
      .test(text) &&
    /[a-z]/i.test(text.slice(text.lastIndexOf(".") + 1)) &&
    !/^\.?(\d+\.)+([a-z]\.)*[a-z]$/i.test(text);
}
