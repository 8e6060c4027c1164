/**
 * @std/assert with the types that a test leans on: what TypeScript knows after
 * an assertion. The npm package has none.
 *
 * @module
 */

import * as std from "deno-std/assert/mod.js";

// deno-lint-ignore no-explicit-any
type Class = abstract new (...args: any[]) => unknown;

export const assert: (expr: unknown, msg?: string) => asserts expr = std.assert;

export const assertExists: <T>(
  actual: T,
  msg?: string,
) => asserts actual is NonNullable<T> = std.assertExists;

export const assertInstanceOf: <T extends Class>(
  actual: unknown,
  expectedType: T,
  msg?: string,
) => asserts actual is InstanceType<T> = std.assertInstanceOf;

export const assertStrictEquals: <T>(
  actual: unknown,
  expected: T,
  msg?: string,
) => asserts actual is T = std.assertStrictEquals;

export const fail: (msg?: string) => never = std.fail;
export const unreachable: (reason?: string) => never = std.unreachable;
export const unimplemented: (msg?: string) => never = std.unimplemented;

export {
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  AssertionError,
  assertIsError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotInstanceOf,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
  equal,
} from "deno-std/assert/mod.js";
