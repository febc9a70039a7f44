// Pages come from our own server, which has escaped what is in them: this is the one place
// that may make elements of text.
const policy = self.trustedTypes?.createPolicy("tenter", { createHTML: (s) => s });

// fetchPage asks for a page and returns it as a document, with the URL that it came from.
export async function fetchPage(url, options) {
  const response = await fetch(url, { credentials: "same-origin", headers: { Accept: "text/html" }, ...options });
  const text = await response.text();
  const page = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");
  return { page, url: response.url, redirected: response.redirected, ok: response.ok };
}
