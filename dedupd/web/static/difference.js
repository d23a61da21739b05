// Where two pictures differ, and where a crop lies in its keeper: for display only, what may move was proven by the daemon.

export const WHOLE = Object.freeze({ left: 0, top: 0, width: 1, height: 1 });
const SHOWN = 900;

/** The keeper dimmed, differences bright; `look`: what part of it, as on the stage. */
export function differences(canvas, keeper, other, place, { zoom, x, y, base }) {
  const scale = Math.min(1, SHOWN / Math.max(base[2], base[3]));
  const [wide, high] = [Math.max(1, Math.round(base[2] * scale)), Math.max(1, Math.round(base[3] * scale))];
  const at = [base[2] / 2 - x * base[0] * zoom, base[3] / 2 - y * base[1] * zoom, base[0] * zoom, base[1] * zoom].map((value) => value * scale);
  const over = [at[0] + place.left * at[2], at[1] + place.top * at[3], at[2] * place.width, at[3] * place.height];
  const kept = drawn(keeper, wide, high, at);
  const seen = drawn(other, wide, high, over);
  match_tones(kept, seen);
  const shown = new ImageData(wide, high);
  for (let i = 0; i < kept.length; i += 4) {
    const grey = (kept[i] * 2 + kept[i + 1] * 5 + kept[i + 2]) >> 3;
    // Noise of another encoding is no difference: below 8 grey units nothing glows.
    const apart = kept[i + 3] && seen[i + 3] ? Math.max(Math.abs(kept[i] - seen[i]), Math.abs(kept[i + 1] - seen[i + 1]), Math.abs(kept[i + 2] - seen[i + 2])) : 0;
    const glow = Math.min(255, Math.max(0, apart - 8) * 5);
    const [low, share] = [kept[i + 3] ? (grey + 40) >> 2 : 0, Math.min(1, glow / 128)];
    shown.data[i] = low * (1 - share) + 255 * share;
    shown.data[i + 1] = low * (1 - share) + (90 + (glow * 150) / 255) * share;
    shown.data[i + 2] = low * (1 - share) + ((glow * 120) / 255) * share;
    shown.data[i + 3] = 255;
  }
  canvas.width = wide;
  canvas.height = high;
  canvas.getContext("2d").putImageData(shown, 0, 0);
}

function drawn(image, wide, high, [left, top, width, height]) {
  const canvas = new OffscreenCanvas(wide, high);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, left, top, width, height);
  return pen.getImageData(0, 0, wide, high).data;
}

/** A brighter or flatter copy is no difference everywhere: mean and spread of each channel are made equal. */
function match_tones(kept, seen) {
  for (let channel = 0; channel < 3; channel += 1) {
    const sums = [0, 0, 0, 0, 0];
    for (let i = channel; i < kept.length; i += 4) {
      if (!kept[i - channel + 3] || !seen[i - channel + 3]) continue;
      sums[0] += 1; sums[1] += kept[i]; sums[2] += kept[i] ** 2; sums[3] += seen[i]; sums[4] += seen[i] ** 2;
    }
    if (!sums[0]) return;
    const [mean, mean_seen] = [sums[1] / sums[0], sums[3] / sums[0]];
    const spread = Math.sqrt(Math.max(1, sums[2] / sums[0] - mean ** 2));
    const spread_seen = Math.sqrt(Math.max(1, sums[4] / sums[0] - mean_seen ** 2));
    const gain = Math.max(0.5, Math.min(2, spread / spread_seen));
    for (let i = channel; i < kept.length; i += 4) seen[i] = (seen[i] - mean_seen) * gain + mean;
  }
}

/** Where `other` lies in the keeper when it is a crop of it: the best of many scales and offsets. WHOLE: no crop. */
export function find_place(keeper, other) {
  const coarse = search(grey(keeper, 48), grey(other, 48));
  return coarse === WHOLE ? WHOLE : refined(grey(keeper, 128), grey(other, 128), coarse);
}

function grey(image, side) {
  const scale = side / Math.max(image.naturalWidth, image.naturalHeight);
  const [wide, high] = [Math.max(8, Math.round(image.naturalWidth * scale)), Math.max(8, Math.round(image.naturalHeight * scale))];
  const colours = drawn(image, wide, high, [0, 0, wide, high]);
  const values = new Float32Array(wide * high);
  for (let i = 0; i < values.length; i += 1) values[i] = (colours[i * 4] * 2 + colours[i * 4 + 1] * 5 + colours[i * 4 + 2]) / 8;
  return { wide, high, values };
}

function search(base, patch) {
  let [best, least] = [WHOLE, error(base, patch, WHOLE) * 0.8]; // a crop must be clearly better than no crop
  for (let percent = 95; percent > 45; percent -= 5) {
    const height = percent / 100;
    const width = (height * (patch.wide / patch.high)) / (base.wide / base.high);
    if (width < 0.3 || width > 1) continue;
    for (const left of offsets(1 - width)) {
      for (const top of offsets(1 - height)) {
        const box = { left, top, width, height };
        const its = error(base, patch, box);
        if (its < least) [best, least] = [box, its];
      }
    }
  }
  return best;
}

function refined(base, patch, box) {
  let least = error(base, patch, box);
  for (let by = 0.02; by > 0.002;) {
    let better = null;
    for (const dx of [-by, 0, by]) for (const dy of [-by, 0, by]) for (const grown of [-by, 0, by]) {
      const tried = shifted(box, dx, dy, grown);
      const its = error(base, patch, tried);
      if (its < least) [better, least] = [tried, its];
    }
    if (better) box = better;
    else by /= 2;
  }
  return box;
}

function shifted(box, dx, dy, grown) {
  const [width, height] = [Math.min(1, box.width * (1 + grown)), Math.min(1, box.height * (1 + grown))];
  return { left: Math.max(0, Math.min(1 - width, box.left + dx)), top: Math.max(0, Math.min(1 - height, box.top + dy)), width, height };
}

function offsets(room) {
  const steps = Math.max(1, Math.round(room * 24));
  return Array.from({ length: steps + 1 }, (_, i) => (room * i) / steps);
}

/** The mean difference between the patch and this part of the base. */
function error(base, patch, box) {
  let sum = 0;
  for (let y = 0; y < patch.high; y += 1) {
    const row = Math.min(base.high - 1, Math.floor((box.top + ((y + 0.5) / patch.high) * box.height) * base.high));
    for (let x = 0; x < patch.wide; x += 1) {
      const column = Math.min(base.wide - 1, Math.floor((box.left + ((x + 0.5) / patch.wide) * box.width) * base.wide));
      sum += Math.abs(base.values[row * base.wide + column] - patch.values[y * patch.wide + x]);
    }
  }
  return sum / patch.values.length;
}
