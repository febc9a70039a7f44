// Keys. They are listed at help, and can be turned off there.
import { openDialog } from "./dialog.js";

let before = "";
let row = -1;

const off = () => localStorage.getItem("tenter-keys") === "off";
const rows = () => [...document.querySelectorAll("[data-rows] tbody tr")];

function go(to) {
  const all = rows();
  if (!all.length) return;
  all[row]?.classList.remove("here");
  row = Math.max(0, Math.min(all.length - 1, to));
  all[row].classList.add("here");
  all[row].querySelector("a")?.focus();
}

const keys = {
  "/": () => document.getElementById("find")?.focus(),
  "?": () => openDialog("help"),
  t: () => document.querySelector("form.theme button")?.click(),
  j: () => go(row + 1),
  k: () => go(row - 1),
  n: () => document.querySelector("a[rel=next]")?.click(),
  "+": () => document.querySelector("[data-zoom=in]")?.click(),
  "=": () => document.querySelector("[data-zoom=in]")?.click(),
  "-": () => document.querySelector("[data-zoom=out]")?.click(),
  "g r": () => (location.href = "./"),
  "g h": () => (location.href = "hooks"),
  "g w": () => (location.href = "workflows"),
};

document.addEventListener("keydown", (e) => {
  const typing = e.target.matches("input:not([type=radio], [type=checkbox]), textarea, select");
  if (e.key === "Escape" && typing) e.target.blur();
  if (typing || e.ctrlKey || e.metaKey || e.altKey || off() || document.getElementById("dialog").open) return;
  const key = before === "g" ? `g ${e.key}` : e.key;
  before = e.key;
  setTimeout(() => (before = ""), 1000);
  if (keys[key]) {
    e.preventDefault();
    keys[key]();
  }
});

function choice() {
  const box = document.getElementById("keys-off");
  if (!box) return;
  box.checked = off();
  box.addEventListener("change", () => localStorage.setItem("tenter-keys", box.checked ? "off" : "on"));
}
choice();
document.getElementById("dialog").addEventListener("filled", choice);
