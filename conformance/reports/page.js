// Filters, search, and the way from a cell to its difference. The page is complete without it.
"use strict";
const at = (id) => document.getElementById(id);
const value = (id) => (at(id) ? at(id).value : "");
const rows = [...document.querySelectorAll("#grid tbody tr")].map((row) => ({
  row,
  group: row.dataset.g,
  name: row.firstElementChild.textContent.toLowerCase(),
  cells: [...row.querySelectorAll("td")].flatMap((cell) => Array(cell.colSpan).fill(cell.classList[0])),
}));
const sections = [...document.querySelectorAll("section.command")].map((section) => ({
  section,
  group: section.dataset.g,
  name: section.querySelector("h3").textContent.toLowerCase(),
  servers: [...section.querySelectorAll(".server")].map((server) => ({
    server,
    number: server.dataset.s,
    differences: [...server.querySelectorAll(".diff")].map((diff) => ({
      diff,
      state: diff.dataset.k,
      text: diff.textContent.toLowerCase(),
    })),
  })),
}));
const show = (element, on) => element.toggleAttribute("data-off", !on);

function filter() {
  const query = value("q").trim().toLowerCase();
  const [state, server, group, idle] = [value("state"), value("server"), value("group"), at("idle")?.checked];
  const said = new Set(); // commands with a difference in which the words were found
  for (const { section, group: own, name, servers } of sections) {
    let any = false;
    for (const { server: box, number, differences } of servers) {
      let some = false;
      for (const { diff, state: kind, text } of differences) {
        const on = (!group || own === group) && (!server || number === server) && (!state || kind === state) &&
          (!query || name.includes(query) || text.includes(query));
        show(diff, on);
        some = some || on;
      }
      show(box, some);
      any = any || some;
    }
    show(section, any);
    if (any) said.add(name);
  }
  let shown = 0;
  for (const { row, group: own, name, cells } of rows) {
    const seen = cells.filter((_, n) => !server || Math.floor(n / 2) === Number(server));
    const on = (!group || own === group) && (!query || name.includes(query) || said.has(name)) &&
      (state ? seen.includes(state) : idle || (query && name.includes(query)) || seen.some((kind) => kind === "s" || kind === "d" || kind === "k"));
    show(row, on);
    shown += on;
  }
  at("count").textContent = `${shown} of ${rows.length} rows`;
}

function reveal() {
  let target;
  try { target = at(decodeURIComponent(location.hash.slice(1))); } catch { return; }
  if (!target) return;
  if (target.closest("[data-off]")) {
    for (const id of ["q", "state", "server", "group"]) if (at(id)) at(id).value = "";
    filter();
  }
  const diff = target.closest("details") || (target.matches(".server") && target.querySelector("details"));
  if (diff) diff.open = true;
  target.scrollIntoView();
}

const form = document.querySelector(".controls");
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", reveal);
for (const box of document.querySelectorAll(".again")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.querySelector("pre").textContent);
    button.textContent = "Copied";
  });
  box.append(button);
}
filter();
reveal();
