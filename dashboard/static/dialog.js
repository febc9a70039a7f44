// Shows pages that ask or explain as a dialog over the page that one is on.
import { fetchPage } from "./fetch.js";

const dialog = document.getElementById("dialog");

export async function openDialog(url) {
  const { page } = await fetchPage(url);
  const content = page.querySelector("[data-dialog-content]");
  if (!content) {
    location.href = url;
    return;
  }
  dialog.replaceChildren(document.importNode(content, true));
  dialog.dispatchEvent(new Event("filled"));
  dialog.showModal();
  (dialog.querySelector("input:not([type=hidden])") ?? dialog.querySelector("[data-close]") ?? dialog).focus();
}

document.addEventListener("click", (e) => {
  if (e.target === dialog) dialog.close(); // the backdrop
  const link = e.target.closest?.("a");
  if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
  if (link.matches("[data-dialog], a[href=help]")) {
    e.preventDefault();
    openDialog(link.href);
  } else if (link.matches("[data-close]") && dialog.open) {
    e.preventDefault();
    dialog.close();
  }
});
