// From page to page without leaving the document, so that pictures stay decoded and the line to the server stays up.
// Must never show a page whose scripts of the page before still listen.

let life = new AbortController();
let opened = () => {};
const ahead = new Map();

/** `begin(main, signal)` is called for every page; what it starts ends with the signal. */
export function each_page(begin) {
  opened = begin;
  begin(document.getElementById("main"), life.signal);
}

/** Where a page came from in the end: a group may have another number by now. */
const addresses = new WeakMap();

/** The page at `url` as a document, as it is now. */
export async function fetched(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  if (!(response.headers.get("content-type") ?? "").includes("text/html")) throw new Error("the server gave no page: it may have been started anew");
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const { pathname, search } = new URL(response.url);
  addresses.set(page, pathname + search);
  return page;
}

/** The page of a group that comes next, asked for before it is wanted. */
export function fetch_ahead(url) {
  if (!ahead.has(url)) {
    ahead.set(url, fetched(url));
    ahead.get(url).catch(() => ahead.delete(url));
  }
  return ahead.get(url);
}

export const forget_ahead = () => ahead.clear();

let wanted = 0;

/** Show another page. `push`: as a step that Back takes back. */
export async function show(url, { push = true, page = null } = {}) {
  wanted += 1;
  const mine = wanted;
  let found;
  try {
    found = page ?? await (ahead.get(url) ?? fetched(url));
  } catch {
    location.assign(url);
    return;
  }
  if (mine !== wanted) return;
  ahead.delete(url);
  life.abort();
  life = new AbortController();
  const main = document.adoptNode(found.getElementById("main"));
  document.getElementById("main").replaceWith(main);
  document.title = found.title;
  const address = addresses.get(found) ?? url;
  if (push) history.pushState(null, "", address);
  else if (address !== location.pathname + location.search) history.replaceState(null, "", address);
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
  opened(main, life.signal);
}

addEventListener("popstate", () => show(location.pathname + location.search, { push: false }));

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || url.pathname.startsWith("/openapi") || (url.hash && url.pathname === location.pathname)) return;
  event.preventDefault();
  show(url.pathname + url.search);
});
