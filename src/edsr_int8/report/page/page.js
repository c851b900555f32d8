"use strict";
// Tables: a click on a heading sorts by that column, empty cells last.
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const number = head.classList.contains("n");
    const sign = head.ariaSort === (number ? "descending" : "ascending") ? -1 : 1;  // the first click: best or A first
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", (sign > 0) === number ? "descending" : "ascending");
    const value = row => number ? row.cells[column]?.dataset.v : row.cells[column]?.textContent;
    body.append(...[...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * (number ? y - x : x.localeCompare(y, "en", { numeric: true }));
    }));
  }));
}

// The filter of the first table: rows that hold every word.
const search = document.querySelector("input[type=search]"), status = document.querySelector("[role=status]");
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/), rows = [...document.querySelectorAll("#table tbody tr")];
  for (const row of rows) row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
  const shown = rows.filter(row => !row.hidden).length;
  status.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
});

// Pictures: any two under a divider, and their difference in grey levels.
function pixels(image, width, height) {
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
function showDifference(canvas, output, left, right, gain) {
  const style = getComputedStyle(canvas), [w, h] = ["--w", "--h"].map(name => +style.getPropertyValue(name));
  const a = pixels(left, w, h), b = pixels(right, w, h).data;
  let sum = 0, squares = 0, largest = 0;
  a.data.forEach((value, i) => {
    if (i % 4 === 3) return;  // opacity
    const difference = Math.abs(value - b[i]);
    sum += difference; squares += difference ** 2; largest = Math.max(largest, difference);
    a.data[i] = gain * difference;
  });
  Object.assign(canvas, { width: w, height: h }).getContext("2d").putImageData(a, 0, 0);
  const count = 3 * w * h, psnr = squares ? (10 * Math.log10(255 ** 2 * count / squares)).toFixed(2) + " dB" : "identical";
  const line = (name, text) => [`${name} `, Object.assign(document.createElement("b"), { textContent: text }), document.createElement("br")];
  output.replaceChildren(...line("PSNR of the two:", psnr), ...line("Mean difference, grey levels:", (sum / count).toFixed(2)), ...line("Largest:", largest));
}
addEventListener("load", () => document.querySelectorAll(".compare").forEach(compare => {
  const form = compare.querySelector("form"), stage = compare.querySelector(".stage"), slider = stage.querySelector("input");
  const sources = Object.fromEntries([...compare.closest("article").querySelectorAll(".strip img")].map(image => [image.dataset.label, image]));
  const update = () => {
    compare.style.setProperty("--zoom", form.zoom.value);
    [form.left.value, form.right.value].forEach((label, i) => {
      stage.querySelectorAll("img")[i].src = sources[label].src;
      stage.querySelectorAll("span")[i].textContent = label;
    });
    showDifference(compare.querySelector("canvas"), compare.querySelector("output"), sources[form.left.value], sources[form.right.value], form.gain.value);
  };
  form.addEventListener("change", update);
  slider.addEventListener("input", () => stage.style.setProperty("--at", `${slider.value}%`));
  update();
}));
