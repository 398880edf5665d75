"use strict";
// what a page does beyond being read: sorted tables, hidden series, tips at marks; without it nothing is missing

function number(text) {
  const found = /^[\s≤≥]*([-+−]?\d[\d,]*(\.\d+)?)/.exec(text);
  return found ? parseFloat(found[1].replace(/,/g, "").replace("−", "-")) : NaN;
}

function sortable(table) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) return;
  const asWritten = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if (!heading.textContent) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const order = { none: "ascending", ascending: "descending", descending: "none" }[heading.ariaSort ?? "none"];
      for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
      if (order === "none") return body.append(...asWritten);
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      body.append(...[...asWritten].sort((a, b) => sign * compared(a.cells[column].textContent, b.cells[column].textContent)));
    });
  });
}

function compared(a, b) {
  const [x, y] = [number(a), number(b)];
  if (isNaN(x) || isNaN(y)) return isNaN(x) && isNaN(y) ? a.localeCompare(b) : isNaN(x) ? 1 : -1;
  return x - y;
}

function hideable(figure) {
  const names = [...new Set([...figure.querySelectorAll("[data-series]")].map((mark) => mark.dataset.series))];
  if (names.length < 2) return;
  const choices = document.createElement("div");
  choices.className = "series";
  for (const name of names) {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      for (const mark of figure.querySelectorAll("[data-series]"))
        if (mark.dataset.series === name) mark.classList.toggle("hidden", !box.checked);
    });
    label.append(box, " ", name);
    choices.append(label);
  }
  figure.prepend(choices);
}

function tips() {
  const tip = Object.assign(document.createElement("div"), { id: "tip", hidden: true });
  document.body.append(tip);
  for (const title of document.querySelectorAll("svg g > title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 12, innerHeight - tip.offsetHeight - 8)}px`;
  });
}

document.querySelectorAll("table").forEach(sortable);
document.querySelectorAll("figure").forEach(hideable);
tips();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
