// Forms that change themselves (another item of a list, JSON instead of fields) do so in
// place. What is sent is sent by the browser, once.
import { fetchPage } from "./fetch.js";
import { morph } from "./morph.js";

document.addEventListener("submit", async (e) => {
  const form = e.target;
  if (!form.matches("[data-form]")) return;
  const button = e.submitter;
  if (!button?.name) {
    if (form.ariaBusy === "true") e.preventDefault();
    form.ariaBusy = "true";
    return;
  }
  e.preventDefault();
  const data = new FormData(form, button);
  const { page } = await fetchPage(form.action, { method: "POST", body: form.enctype === "multipart/form-data" ? data : new URLSearchParams(data) });
  const to = page.getElementById(form.id);
  if (!to) {
    form.submit();
    return;
  }
  morph(form, to);
  for (const f of form.querySelectorAll("input, textarea, select")) {
    if (f.type !== "radio" && f.nodeName !== "SELECT") f.value = f.defaultValue;
    if (f.type === "radio") f.checked = f.defaultChecked;
  }
  if (button.name === "_switch") form.querySelector("input:not([type=hidden]), textarea, select")?.focus();
  if (button.name === "_add") [...form.querySelectorAll("input:not([type=hidden]), textarea, select")].filter((f) => f.name.startsWith(`${button.value}/`)).at(-1)?.focus();
});

// Times are in the zone of the browser, until somebody chooses another.
for (const zone of document.querySelectorAll("select[data-guess]")) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!here) continue;
  if (![...zone.options].some((o) => o.value === here)) zone.add(new Option(here, here));
  zone.value = here;
}

// A page that comes back from the browser's memory can be sent again: its key makes it count once.
addEventListener("pageshow", () => document.querySelectorAll("[data-form]").forEach((f) => (f.ariaBusy = null)));

// Ctrl+Enter sends a form from within a text.
document.addEventListener("keydown", (e) => {
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && e.target.form?.matches("[data-form]")) {
    e.preventDefault();
    e.target.form.requestSubmit(e.target.form.querySelector("button.primary, button.danger"));
  }
});

// Where something is wrong is where to go on.
(document.querySelector("[aria-invalid=true]") ?? document.querySelector("#form .wrong")?.parentElement.querySelector("input"))?.focus();
