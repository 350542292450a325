// How the page asks the twin, and what its scripts share.

export const $ = (id) => document.getElementById(id);
export const texts = JSON.parse($("texts").textContent);
export const twinUrl = document.querySelector("main").dataset.twin.slice(0, -1);

export async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify(body),
  };
  const response = await fetch(twinUrl + path, options);
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  const answer = isJson ? await response.json() : {};
  if (!response.ok) throw new Error(answer.message ?? texts.unreachable);
  return answer;
}

const csrfToken = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

export function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}
