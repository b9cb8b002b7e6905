// Filters, sorts and searches the table of verdicts, and opens what a link leads to. Without it the page is whole.
// What stands in the table was written by suspects: it is read as text, and never made into markup.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const make = (name, text) => Object.assign(document.createElement(name), { textContent: text });
  const matrix = find("matrix"), body = matrix.tBodies[0], heads = [...matrix.tHead.rows[0].cells];
  const rows = [...body.rows].map((row, place) => ({ row, place, text: null }));
  const [search, tool, shown] = ["search", "tool", "shown"].map(find);
  const ranks = "tsbexo", pressed = new Set();

  // A cell's class is the letter of its status; one without a class is ok, or has no verdict and is empty.
  const letter = (cell) => cell.className || (cell.textContent ? "o" : "");
  const status = (row, column) => letter(row.cells[column]);
  const statuses = (row) => [...row.cells].slice(2, -1).map(letter);

  // All that is said of an exit, its details included, in small letters: made when it is first searched.
  const words = (one) => {
    if (one.text === null) {
      const link = one.row.cells[1].querySelector("a");
      const details = link && document.getElementById(link.hash.slice(1));
      one.text = (one.row.textContent + " " + (details ? details.textContent : "")).toLowerCase();
    }
    return one.text;
  };

  const isWanted = (one, wanted, column) => {
    if (pressed.size) {
      const told = column === null ? statuses(one.row) : [status(one.row, column)];
      if (!told.some((each) => pressed.has(each))) return false;
    } else if (column !== null && !status(one.row, column)) return false;
    return wanted.every((word) => words(one).includes(word));
  };

  const filter = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const column = tool.value === "" ? null : Number(tool.value) + 2;
    let count = 0;
    for (const one of rows) {
      const is = isWanted(one, wanted, column);
      one.row.hidden = !is;
      count += is;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} exits shown`;
    find("none").hidden = count > 0;
  };

  const rank = (row, column) => {
    const told = status(row, column);
    return told ? ranks.indexOf(told) : ranks.length;
  };
  const order = new Intl.Collator("en", { numeric: true });
  const name = (row) => row.cells[1].querySelector("bdi").textContent;

  const sort = (column) => {
    const head = heads[column];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = column === 1
      ? (a, b) => order.compare(name(a.row), name(b.row))
      : (a, b) => rank(a.row, column) - rank(b.row, column);
    const sorted = [...rows].sort((a, b) => (down ? -1 : 1) * compare(a, b) || a.place - b.place);
    body.append(...sorted.map((one) => one.row));
  };

  const press = (item) => {
    const told = item.dataset.status, button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.append(...item.childNodes);
    button.addEventListener("click", () => {
      if (!pressed.delete(told)) pressed.add(told);
      button.setAttribute("aria-pressed", String(pressed.has(told)));
      filter();
    });
    item.append(button);
    return button;
  };
  const buttons = [...find("tiles").children].map(press);

  heads.slice(0, -1).forEach((head, column) => {
    const button = make("button", head.textContent);
    button.type = "button";
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });

  const reset = () => {
    pressed.clear();
    for (const button of buttons) button.setAttribute("aria-pressed", "false");
    search.value = tool.value = "";
    filter();
  };
  search.addEventListener("input", filter);
  tool.addEventListener("change", filter);
  find("reset").addEventListener("click", reset);
  find("tools").addEventListener("submit", (event) => event.preventDefault());
  find("tools").hidden = false;

  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) reset();
  });

  // A link to a verdict opens it; one to an exit opens the first of its verdicts.
  const open = () => {
    const target = find(decodeURIComponent(location.hash.slice(1)));
    const details = target && (target.matches("details") ? target : target.querySelector("details.verdict"));
    if (!details) return;
    details.open = true;
    target.scrollIntoView();
    details.firstElementChild.focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  if (location.hash) open();

  const findings = [...document.querySelectorAll("details.finding")];
  const unfold = find("unfold");
  if (unfold && findings.length) {
    unfold.hidden = false;
    unfold.addEventListener("click", () => {
      const is = findings.some((each) => !each.open);
      for (const each of findings) each.open = is;
      unfold.textContent = is ? "Close all findings" : "Open all findings";
    });
  }
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...findings, find("meaning"), find("made")].filter((each) => !each.open);
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });
  filter();
})();
