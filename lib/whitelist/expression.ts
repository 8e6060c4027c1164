/**
 * The regular expressions of whitelist files, matched in time that is linear in
 * the length of the host name, whatever the expression.
 *
 * The owner of a client's address chooses its host name. V8's usual matcher
 * backtracks: `/^([a-z0-9-]+\.?)+\.mail\.example\.com$/` took 27 s for a name of
 * 34 letters, and twice as long for each letter more. V8 has a second matcher,
 * which keeps all states at once. The flag `l` of an expression demands it, and
 * an expression that it cannot match is a syntax error. Without the V8 option
 * below, the flag itself is a syntax error: there is no way back to the other
 * matcher. (`--enable-experimental-regexp-engine-on-excessive-backtracks` does not
 * say which expressions it fails to protect.) V8 13.7 of Deno 2.4.2 and V8 15.0 of
 * Deno 2.9.6 have both, and refuse to start with an option that they do not know.
 *
 * That matcher has no flag `i`, so an expression is rewritten for host names in
 * lower case. The lists come from programs written in Perl, so an expression that
 * means something else in JavaScript is refused.
 *
 * @module
 */

/** The option that V8 has to be started with. */
export const V8_LINEAR = "--enable-experimental-regexp-engine";

/** The flag of an expression. */
const LINEAR = "l";

/** An expression that is not used. The message says why. */
export class ExpressionError extends Error {
  override name = "ExpressionError";
}

/**
 * Compiles the text between the slashes for host names in lower case.
 *
 * @throws {ExpressionError}
 */
export function compileExpression(text: string): RegExp {
  return compileLowerCase(toLowerCase(text));
}

/**
 * Compiles the `source` of an expression that was compiled before.
 *
 * @throws {ExpressionError}
 */
export function compileLowerCase(source: string): RegExp {
  try {
    return new RegExp(source, LINEAR);
  } catch (error) {
    throw new ExpressionError(explain((error as Error).message));
  }
}

/** Tells whether V8 was started with {@linkcode V8_LINEAR}. */
export function hasLinearMatcher(): boolean {
  try {
    return new RegExp("", LINEAR) !== undefined;
  } catch {
    return false;
  }
}

/** The reason in a message of V8, without the expression. */
function explain(message: string): string {
  if (message.startsWith("Invalid flags")) {
    return `expressions need V8's option ${V8_LINEAR}, which the compiled ` +
      "program has";
  }
  const reason = message.slice(message.lastIndexOf(": ") + 2);
  return reason.includes("linear time")
    // Repetition is the only case left: toLowerCase refuses all others itself.
    ? "a part may be repeated 16 times at most, or without a limit"
    : reason.toLowerCase();
}

/** An escape, a class, the opening of a group, or another part that is rewritten. */
const TOKEN =
  /\\([^]?)|\[(\^?)((?:\\[^]|[^\\\]])*)\]|\(\?(?!:)<?.?|\{,|[^ -@[-~]/g;

/** An escape that is a set, a range, or one character. */
const MEMBER = /\\[dDsSwW]|(\\[^]|[^\\])-(?!\\[dDsSwW])(\\[^]|[^\\])|\\?([^])/g;

/**
 * Rewrites an expression so that it matches a name in lower case if the original
 * matches it with the flag `i`.
 *
 * @throws {ExpressionError} if the expression means something else in Perl
 */
function toLowerCase(text: string): string {
  return text.replace(
    TOKEN,
    (token, escaped?: string, not?: string, members?: string) => {
      if (escaped !== undefined) return checkEscape(token, "dDsSwWbB");
      if (members !== undefined) return `[${not}${classOf(token, members)}]`;
      if (/^\(\?<?[=!]/.test(token)) {
        throw new ExpressionError(
          `${token}: look-ahead and look-behind cannot be matched in linear time`,
        );
      }
      if (token.startsWith("(?")) {
        throw new ExpressionError(`${token}: only ( and (?: begin a group`);
      }
      if (token === "{,") throw new ExpressionError("{,: write {0,");
      return token.toLowerCase();
    },
  );
}

/**
 * Checks an escape.
 *
 * @param sets the letters that may follow a backslash
 * @returns the token
 */
function checkEscape(token: string, sets: string): string {
  const letter = token.slice(1);
  if (!/[a-z0-9]/i.test(letter) || sets.includes(letter)) return token;
  if (/[1-9k]/.test(letter)) {
    throw new ExpressionError(
      `${token}: a back-reference cannot be matched in linear time`,
    );
  }
  const instead = letter === "A" ? "^" : /z/i.test(letter) ? "$" : undefined;
  throw new ExpressionError(
    instead
      ? `${token}: write ${instead}`
      : `${token}: of letters, only ${
        [...sets].map((s) => `\\${s}`).join(" ")
      } ` +
        "have a meaning after a backslash",
  );
}

/** A class. The lower case of its letters is added in front of its members. */
function classOf(token: string, members: string): string {
  if (members === "" || /\[[:.=]/.test(members)) {
    throw new ExpressionError(
      `${token}: means something else in JavaScript than in Perl`,
    );
  }
  let lower = "";
  // Each letter is written as a range, since a hyphen may follow.
  const add = (from: string, to: string) =>
    lower += `${from.toLowerCase()}-${to.toLowerCase()}`;
  for (const [member, from, to, single] of members.matchAll(MEMBER)) {
    if (member.startsWith("\\")) checkEscape(member.slice(0, 2), "dDsSwW");
    if (to?.startsWith("\\")) checkEscape(to, "dDsSwW");
    if (single !== undefined && single.toLowerCase() !== single) {
      add(single, single);
    } else if (from !== undefined) {
      const first = from.slice(-1) < "A" ? "A" : from.slice(-1);
      const last = to.slice(-1) > "Z" ? "Z" : to.slice(-1);
      if (first <= last) add(first, last);
    }
  }
  return lower + members;
}
