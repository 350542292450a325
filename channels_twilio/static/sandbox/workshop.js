// Behind the phone: what goes wrong on purpose, and every request both ways.

import { $, ask, element, texts } from "./twin.js";

const POLL_MS = 1500;
const SHOWN = 50;
const ACCOUNT = /^\/2010-04-01\/Accounts\/\w+/;

// --- faults ----------------------------------------------------------------------------------------------------------
const rates = [...document.querySelectorAll("[data-rule]")];
const keyOf = ({ fault, match, args }) => JSON.stringify([fault, match.operation ?? "", Object.entries(args).sort()]);
const ruleOf = (rate) => JSON.parse(rate.dataset.rule);

function showFaults({ seed, rules }) {
  const known = new Map(rates.map((rate) => [keyOf(ruleOf(rate)), rate]));
  const offered = (rule) => known.get(keyOf(rule)) ?? known.get(keyOf({ ...rule, match: {} }));
  for (const rate of rates) rate.value = 0;
  for (const rule of rules) {
    const rate = offered(rule);
    if (rate) rate.value = Math.round(rule.match.probability * 100);
  }
  $("seed").value = seed;
  $("faults-state").textContent = rules.length ? texts.saved : texts.no_faults;
}

async function playFaults() {
  const rules = rates.filter((rate) => Number(rate.value)).map((rate) => {
    const rule = ruleOf(rate);
    return { ...rule, match: { ...rule.match, probability: Number(rate.value) / 100 } };
  });
  try {
    showFaults(await ask(`faults?seed=${$("seed").valueAsNumber || 0}`, rules));
  } catch (error) {
    $("faults-state").textContent = error.message;
  }
}

$("faults").onsubmit = (event) => {
  event.preventDefault();
  playFaults();
};

$("no-faults").onclick = () => {
  for (const rate of rates) rate.value = 0;
  playFaults();
};

// --- requests --------------------------------------------------------------------------------------------------------
let since = 0;

async function poll() {
  try {
    const { exchanges } = await ask(`exchanges?since=${since}`);
    for (const exchange of exchanges) $("requests").prepend(requestItem(exchange));
    since = exchanges.at(-1)?.seq ?? since;
    while ($("requests").children.length > SHOWN) $("requests").lastElementChild.remove();
  } catch {
    // The phone above says that the twin does not answer; what is new comes with the next look.
  }
  setTimeout(poll, POLL_MS);
}

function requestItem(exchange) {
  const ours = exchange.kind === "api";
  const url = new URL(exchange.url, location.href);
  const status = element("b", { textContent: exchange.status ?? "×", title: exchange.error });
  status.dataset.bad = String(!exchange.status || exchange.status >= 400);
  const at = new Date(exchange.at * 1000);
  const summary = element(
    "summary",
    {},
    element("span", { className: "request__way", textContent: ours ? "↗" : "↙", title: ours ? texts.to_twilio : texts.to_us }),
    status,
    element("code", { textContent: `${exchange.method} ${url.pathname.replace(ACCOUNT, "…")}` }),
    ...(exchange.fault ? [element("mark", { textContent: `${texts.fault}: ${exchange.fault}` })] : []),
    element("time", { dateTime: at.toISOString(), textContent: at.toLocaleTimeString() }),
  );
  return element(
    "li",
    {},
    element(
      "details",
      {},
      summary,
      section("URL", element("p", { textContent: url.href })),
      section(texts.parameters, pairs(exchange.params)),
      section(texts.headers, pairs(Object.entries(exchange.headers))),
      section(texts.answer, element("pre", { textContent: answerOf(exchange) })),
    ),
  );
}

function answerOf({ status, response, error, seconds }) {
  const first = `${status ?? texts.no_answer}${error ? ` (${error})` : ""}, ${seconds.toFixed(2)} s`;
  try {
    return `${first}\n${JSON.stringify(JSON.parse(response), null, 2)}`;
  } catch {
    return `${first}\n${response}`; // XML, or nothing
  }
}

const section = (title, content) => element("section", {}, element("h4", { textContent: title }), content);

const pairs = (entries) =>
  element("dl", {}, ...entries.flatMap(([name, value]) => [
    element("dt", { textContent: name }),
    element("dd", { textContent: value }),
  ]));

async function start() {
  try {
    showFaults(await ask("faults"));
    poll();
  } catch {
    setTimeout(start, 2000);
  }
}

start();
