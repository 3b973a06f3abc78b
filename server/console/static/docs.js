// The HTTP contract as a page: draws /openapi.json, and lets each call be tried.  Nothing here is kept: a token that
// is typed is gone with the page.
"use strict";

const place = document.getElementById("contract");
const words = place.dataset;
let published = {};

function make(name, fields = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(fields)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function resolved(schema) {
  return schema && schema.$ref ? schema.$ref.slice(2).split("/").reduce((at, step) => at[step], published) : schema || {};
}

function told(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map(told).join(" | ");
  if (schema.type === "array") return `[${told(schema.items || {})}]`;
  return schema.pattern ? `${schema.type} ${schema.pattern}` : schema.format || schema.type || "any";
}

// A body to begin with: what must be there, nothing else.
function example(schema, depth = 0) {
  const one = resolved(schema);
  if (one.default !== undefined) return one.default;
  if (one.enum) return one.enum[0];
  if (one.examples) return one.examples[0];
  const several = one.anyOf || one.oneOf;
  if (several) return example(several[0], depth);
  if (one.type === "array") return depth > 4 ? [] : [example(one.items || {}, depth + 1)];
  if (one.type === "object") {
    const names = one.required || [];
    return Object.fromEntries(names.map((name) => [name, example(one.properties[name], depth + 1)]));
  }
  return { string: "", integer: one.minimum || 0, number: 0, boolean: false }[one.type] ?? null;
}

function shape(schema) {
  const one = resolved(schema);
  const several = one.oneOf || one.anyOf;
  if (several) return make("div", {}, ...several.map(shape));
  const rows = Object.entries(one.properties || {}).map(([name, field]) => make("tr", {},
    make("th", { scope: "row" }, make("code", { textContent: name })),
    make("td", {}, make("code", { textContent: told(field) })),
    make("td", { textContent: (one.required || []).includes(name) ? "required" : "" })));
  const title = schema.$ref ? schema.$ref.split("/").pop() : one.type || "";
  return make("div", {},
    make("p", {}, make("strong", { textContent: title }), ` ${one.description || ""}`),
    rows.length ? make("table", {}, make("tbody", {}, ...rows)) : null);
}

function field(parameter) {
  const input = make("input", { name: parameter.name, placeholder: told(parameter.schema), required: parameter.required });
  input.dataset.in = parameter.in;
  return make("label", {}, make("code", { textContent: parameter.name }), ` ${parameter.description || ""}`, input);
}

function address(path, inputs) {
  const query = new URLSearchParams();
  let filled = path;
  for (const input of inputs) {
    if (input.dataset.in === "path") filled = filled.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.in === "query" && input.value) query.set(input.name, input.value);
  }
  return query.size ? `${filled}?${query}` : filled;
}

async function send(event, method, path, answer) {
  event.preventDefault();
  const form = event.target;
  const inputs = [...form.querySelectorAll("input")];
  const headers = {};
  for (const input of inputs) {
    if (input.dataset.in === "header" && input.value) headers[input.name] = input.value;
  }
  const token = document.getElementById("docs-token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  else if (words.form) headers["X-Form-Token"] = words.form;
  const body = form.elements.body;
  const options = { method, headers, credentials: token ? "omit" : "same-origin" };
  if (body) {
    headers["Content-Type"] = body.dataset.media;
    options.body = body.value;
  }
  answer.textContent = "…";
  try {
    const response = await fetch(address(path, inputs), options);
    const said = await response.text();
    const kind = response.headers.get("Content-Type") || "";
    const shown = kind.includes("json") && said ? JSON.stringify(JSON.parse(said), null, 2) : said;
    const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    answer.textContent = [`${response.status} ${response.statusText}`, ...lines, "", shown].join("\n");
  } catch (error) {
    answer.textContent = String(error);
  }
}

function trial(method, path, operation) {
  const answer = make("pre", { className: "answer", tabIndex: 0 });
  const form = make("form", { className: "trial" }, ...operation.parameters.map(field));
  if (operation.requestBody) {
    const [media, content] = Object.entries(operation.requestBody.content)[0];
    const text = media.endsWith("json") && !media.includes("nd") ? JSON.stringify(example(content.schema), null, 2) : "";
    const body = make("textarea", { name: "body", rows: 8, value: text, spellcheck: false });
    body.dataset.media = media;
    form.append(make("label", {}, make("code", { textContent: media }), body), shape(content.schema));
  }
  form.append(make("button", { type: "submit", textContent: words.send }), answer);
  form.addEventListener("submit", (event) => send(event, method, path, answer));
  return form;
}

function answers(operation) {
  return make("table", {}, make("tbody", {}, ...Object.entries(operation.responses).map(([status, response]) => {
    const content = Object.entries(response.content || {}).map(([media, one]) => `${media} ${told(one.schema)}`);
    const headers = Object.keys(response.headers || {}).join(", ");
    return make("tr", {},
      make("th", { scope: "row", textContent: status }),
      make("td", { textContent: response.description }),
      make("td", { textContent: content.join("; ") }),
      make("td", { textContent: headers }));
  })));
}

function drawn(method, path, operation) {
  const details = make("details", { className: "panel operation", id: operation.operationId },
    make("summary", {},
      make("strong", { textContent: method.toUpperCase() }), " ",
      make("code", { textContent: path }), ` ${operation.summary}`));
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    details.append(
      operation.description ? make("p", { textContent: operation.description }) : "",
      trial(method.toUpperCase(), path, operation),
      answers(operation));
  });
  return details;
}

async function draw() {
  published = await (await fetch("/openapi.json")).json();
  const groups = new Map();
  for (const [path, item] of Object.entries(published.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const [tag] = operation.tags;
      if (!groups.has(tag)) groups.set(tag, make("section", {}, make("h2", { textContent: tag })));
      groups.get(tag).append(drawn(method, path, operation));
    }
  }
  place.replaceChildren(...groups.values());
  document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
}

draw();
