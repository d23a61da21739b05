// Arrow keys in a grid of links. Must never move the focus unasked.

/** The link beside the focused one, as seen on the screen. */
export function step(links, key) {
  if (!links.length) return;
  const at = links.findIndex((link) => link === document.activeElement || link.parentElement.contains(document.activeElement));
  if (at < 0) {
    links[0].focus();
    return;
  }
  if (key === "ArrowLeft" || key === "ArrowRight") {
    links[Math.max(0, Math.min(links.length - 1, at + (key === "ArrowRight" ? 1 : -1)))].focus();
    return;
  }
  const here = links[at].getBoundingClientRect();
  const down = key === "ArrowDown";
  let best = null;
  for (const link of links) {
    const there = link.getBoundingClientRect();
    const beyond = down ? there.top - here.bottom : here.top - there.bottom;
    if (beyond < -1) continue;
    const far = beyond * 4 + Math.abs(there.left - here.left);
    if (best === null || far < best.far) best = { far, link };
  }
  best?.link.focus();
}
