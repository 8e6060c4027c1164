/**
 * HTML from templates. A value in a template is escaped, unless it is
 * {@linkcode Markup}.
 *
 * @module
 */

/** HTML that needs no escaping any more. */
export interface Markup {
  readonly markup: string;
}

type Part = string | number | Markup | Part[];

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes a text for use between tags and in quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** The tag of a template that is HTML. */
export function markup(
  literals: TemplateStringsArray,
  ...parts: Part[]
): Markup {
  let text = literals[0];
  parts.forEach((part, i) => text += render(part) + literals[i + 1]);
  return { markup: text };
}

function render(part: Part): string {
  if (Array.isArray(part)) return part.map(render).join("");
  return typeof part === "object" ? part.markup : escapeHtml(String(part));
}
