// Changes the colors without a new page. The server keeps the choice, in a cookie.
const form = document.querySelector("form.theme");
form?.addEventListener("submit", (e) => {
  e.preventDefault();
  const button = form.querySelector("button");
  const chosen = button.value;
  const data = new FormData(form);
  data.set("theme", chosen);
  fetch(form.action, { method: "POST", body: new URLSearchParams(data), redirect: "manual" });
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  button.value = { dark: "light", light: "system", system: "dark" }[chosen];
  const says = `Colors: ${chosen === "system" ? "as the system" : chosen}`;
  button.title = says;
  button.setAttribute("aria-label", `${says}. Change`);
});
