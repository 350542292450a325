// The contact's phone. It shows the twin's view of the world and asks for what is new a little more than once a second:
// a poll survives every restart of the twin or of the web server, and holds no worker of theirs.

import { $, ask, element, texts, twinUrl } from "./twin.js";

const POLL_MS = 700;
const HIDDEN_POLL_MS = 5000;
const MAX_BYTES = { whatsapp: 16e6, sms: 5e6 };
const TICKS = {
  queued: "M8 1.5v4l2 1.5M8 11a5 5 0 1 0 0-10 5 5 0 0 0 0 10",
  sent: "m4 6 3 3 6-7",
  delivered: "m1 6 3 3 6-7M8 8l1 1 6-7",
  read: "m1 6 3 3 6-7M8 8l1 1 6-7",
  failed: "M8 1.5v5.5M8 10v.01",
};
const STATUS = { accepted: "queued", queued: "queued", undelivered: "failed", canceled: "failed" };

const state = { contact: null, medium: "whatsapp", senders: [], version: 0, bubbles: new Map() };

const address = () => (state.medium === "whatsapp" ? "whatsapp:" : "") + state.contact.number;

function notify(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// --- contacts --------------------------------------------------------------------------------------------------------
async function loadContacts(chosen) {
  let { contacts } = await ask("contacts");
  if (!contacts.length) {
    contacts = [await ask("contacts", { name: texts.demo_name, number: "+15550107777" })];
  }
  $("contacts").replaceChildren(...contacts.map(contactItem));
  choose(contacts.find((contact) => contact.number === chosen) ?? contacts[0]);
}

function contactItem(contact) {
  const name = contact.name || contact.number;
  const avatar = element("span", { className: "avatar", textContent: name.replace(/^\+/, "")[0].toUpperCase() });
  avatar.ariaHidden = "true";
  avatar.style.setProperty("--hue", Number(contact.number.slice(-4)) % 360);
  const who = element("span", {}, element("strong", { textContent: name }), element("small", { textContent: contact.number }));
  const button = element("button", { type: "button", className: "person" }, avatar, who);
  button.dataset.number = contact.number;
  button.onclick = () => choose(contact);
  return element("li", {}, button);
}

function choose(contact) {
  state.contact = contact;
  for (const button of document.querySelectorAll(".person")) {
    button.ariaPressed = String(button.dataset.number === contact.number);
  }
  openThread();
}

function openThread() {
  state.version = 0;
  state.bubbles.clear();
  $("bubbles").replaceChildren();
  $("empty").hidden = false;
  $("phone").dataset.medium = state.medium;
  notify("");
  poll();
}

// --- the thread ------------------------------------------------------------------------------------------------------
let timer;
let round = 0;

async function poll() {
  clearTimeout(timer);
  const mine = ++round;
  try {
    const news = await ask(`contacts/${encodeURIComponent(address())}/messages?since=${state.version}`);
    if (mine !== round) return; // another thread was opened, or a newer poll is under way
    if ($("notice").textContent === texts.unreachable) notify("");
    show(news);
  } catch {
    if (mine !== round) return;
    notify(texts.unreachable);
  }
  timer = setTimeout(poll, document.hidden ? HIDDEN_POLL_MS : POLL_MS);
}

function show(news) {
  const thread = $("thread");
  const atEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
  state.version = news.version;
  for (const message of news.messages) showMessage(message);
  $("empty").hidden = state.bubbles.size > 0;
  $("typing").hidden = !news.typing;
  setText($("state"), news.typing ? texts.typing : state.medium === "whatsapp" ? texts.online : senderOf("sms"));
  $("stopped").hidden = !news.stopped;
  if (atEnd) thread.scrollTop = thread.scrollHeight;
}

function showMessage(message) {
  const shown = state.bubbles.get(message.sid);
  if (shown) {
    // Only the ticks can change, and a screen reader shall not hear the whole message again.
    shown.querySelector(".ticks").replaceWith(ticks(message));
    shown.dataset.status = message.status;
    return;
  }
  const at = new Date(message.at * 1000);
  const foot = element(
    "span",
    { className: "bubble__foot" },
    element("time", { dateTime: at.toISOString(), textContent: at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) }),
    ticks(message),
  );
  const bubble = element("li", { className: `bubble${message.mine ? " bubble--mine" : ""}` }, ...message.media.map(mediaItem));
  if (message.body) bubble.append(element("p", { textContent: message.body }));
  bubble.append(foot);
  bubble.dataset.sid = message.sid;
  bubble.dataset.status = message.status;
  state.bubbles.set(message.sid, bubble);
  $("bubbles").append(bubble);
}

function mediaItem({ url, content_type: type }) {
  const source = new URL(url, new URL(twinUrl, location.href)).href;
  const kind = type.split("/")[0] || (/\.(png|jpe?g|gif|webp)(\?|$)/i.test(source) ? "image" : "");
  if (kind === "image") return element("img", { src: source, alt: texts.image, onload: () => ($("thread").scrollTop = 1e9) });
  if (kind === "audio" || kind === "video") return element(kind, { src: source, controls: true });
  const link = element("a", { href: source, target: "_blank", rel: "noopener noreferrer", textContent: `${texts.file} ${type}` });
  return element("p", {}, link);
}

function ticks(message) {
  const status = STATUS[message.status] ?? message.status;
  const label = (texts[status] ?? status) + (message.error_code ? ` (${message.error_code})` : "");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "ticks");
  svg.setAttribute("viewBox", "0 0 16 12");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.dataset.status = status;
  const title = document.createElementNS(svg.namespaceURI, "title");
  title.textContent = label;
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", TICKS[status] ?? TICKS.queued);
  svg.append(title, path);
  return svg;
}

// --- writing ---------------------------------------------------------------------------------------------------------
const senderOf = (medium) =>
  state.senders.find((sender) => sender.startsWith("whatsapp:") === (medium === "whatsapp")) ?? "";

async function write(body, file) {
  if (!senderOf(state.medium)) return notify(texts.no_address);
  if (file && file.size > MAX_BYTES[state.medium]) return notify(texts.too_large);
  try {
    const media = file ? [{ content_type: file.type || "application/octet-stream", content: await base64(file) }] : [];
    await ask("messages", { from: address(), body, media });
    notify("");
  } catch (error) {
    notify(error.message);
    return false;
  }
  $("thread").scrollTop = $("thread").scrollHeight;
  await poll();
  return true;
}

const base64 = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

function showAttachment() {
  const file = $("file").files[0];
  $("attachment").hidden = !file;
  $("attachment-name").textContent = file?.name ?? "";
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text; // a live region speaks at every change
}

$("composer").onsubmit = async (event) => {
  event.preventDefault();
  const body = $("text").value.trim();
  const file = $("file").files[0];
  if (!body && !file) return;
  $("text").value = "";
  if (await write(body, file)) {
    $("file").value = "";
    showAttachment();
  } else {
    $("text").value ||= body;
  }
  $("text").focus();
};

$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
};

$("file").onchange = showAttachment;
$("detach").onclick = () => {
  $("file").value = "";
  showAttachment();
};

for (const button of document.querySelectorAll("[data-say]")) {
  button.onclick = () => write(button.dataset.say);
}

for (const radio of document.querySelectorAll("[name=medium]")) {
  radio.onchange = () => {
    state.medium = radio.value;
    openThread();
  };
}

$("new-contact").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target;
  try {
    const contact = await ask("contacts", { name: form.elements.name.value.trim(), number: form.elements.number.value.trim() });
    form.reset();
    form.closest("details").open = false;
    await loadContacts(contact.number);
    $("text").focus();
  } catch (error) {
    notify(error.message);
  }
};

document.onvisibilitychange = () => !document.hidden && state.contact && poll();

async function start() {
  try {
    state.senders = (await ask("account")).senders;
    await loadContacts();
    notify("");
  } catch {
    notify(texts.unreachable);
    setTimeout(start, 2000);
  }
}

start();
