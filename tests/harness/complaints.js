/**
 * What somebody who reads a page would complain about, as a list of lines. It is
 * evaluated in the page, for there is no other place that has a layout.
 */

(() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    found.push(`scrolls sideways: ${root.scrollWidth} in ${root.clientWidth}`);
  }
  const channel = (value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  /** Relative luminance (WCAG 2.2), undefined for what is transparent. */
  const luminance = (colour) => {
    const numbers = (colour.match(/[\d.]+/g) ?? []).map(Number);
    if (numbers.length < 3 || numbers[3] === 0) return undefined;
    const [r, g, b] = numbers.map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (element, colour) => {
    let behind;
    for (let at = element; at; at = at.parentElement) {
      behind = luminance(getComputedStyle(at).backgroundColor);
      if (behind !== undefined) break;
    }
    const pair = [luminance(colour) ?? 0, behind ?? 1].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  };
  const named = (element) =>
    `${element.tagName} ${element.textContent?.trim().slice(0, 30)}`;

  for (const element of document.querySelectorAll("body *")) {
    const { width, left, right } = element.getBoundingClientRect();
    if (width === 0 || element.closest("title, desc")) continue;
    if (left < -1 || right > root.clientWidth + 1) {
      found.push(`outside: ${named(element)} ${left} to ${right}`);
    }
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) =>
      node.nodeType === Node.TEXT_NODE && node.textContent?.trim()
    );
    if (hasText) {
      const svg = element.namespaceURI?.endsWith("svg");
      const ratio = contrast(element, svg ? style.fill : style.color);
      if (ratio < 4.5) found.push(`contrast ${ratio}: ${named(element)}`);
      if (parseFloat(style.fontSize) < 12) {
        found.push(`small text: ${named(element)} ${style.fontSize}`);
      }
    }
    if (element.tagName === "rect") {
      const ratio = contrast(element, style.fill);
      if (ratio < 3) found.push(`contrast of a bar: ${ratio}`);
    }
  }
  for (const chart of document.querySelectorAll("svg.chart")) {
    const ticks = [...chart.querySelectorAll("text")]
      .map((text) => text.getBoundingClientRect())
      .filter(({ width }) => width > 0);
    const bars = chart.querySelectorAll("g").length;
    if (ticks.length < Math.min(3, bars)) found.push("hardly any labels");
    ticks.forEach(({ left }, i) => {
      if (i > 0 && left < ticks[i - 1].right + 2) {
        found.push(`labels ${i - 1} and ${i} touch in ${chart.ariaLabel}`);
      }
    });
    const names = (chart.getAttribute("aria-labelledby") ?? "").split(" ");
    for (const name of names) {
      if (!document.getElementById(name)?.textContent) {
        found.push(`a chart without ${name}`);
      }
    }
  }
  return found;
})();
