"use strict";
// Renders /openapi.json: every operation with its parameters, body and answers, and a form that calls it.
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value); else node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
};
let api = null;
const resolve = (schema) => schema && schema.$ref
  ? resolve(schema.$ref.replace(/^#\//, "").split("/").reduce((at, step) => at && at[step], api)) : schema;
const isNull = (s) => s && s.type === "null";
const shape = (schema) => {
  if (!schema) return "any";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const several = schema.oneOf || schema.anyOf;
  if (several) return several.map((s) => (isNull(s) ? "null" : shape(s))).join(" | ");
  if (schema.enum) return schema.enum.map((v) => JSON.stringify(v)).join(" | ");
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
  return type === "array" ? `array of ${shape(schema.items)}` : schema.format ? `${type} (${schema.format})` : type;
};
const example = (schema, depth = 0) => {
  const s = resolve(schema);
  if (!s || depth > 6) return null;
  if (s.example !== undefined) return s.example;
  if (s.examples && s.examples.length) return s.examples[0];
  const several = s.oneOf || s.anyOf;
  if (several) return example(several.find((x) => !isNull(x)), depth + 1);
  if (s.allOf) return Object.assign({}, ...s.allOf.map((x) => example(x, depth + 1)));
  if (s.enum) return s.enum[0];
  const type = Array.isArray(s.type) ? s.type.find((t) => t !== "null") : s.type;
  if (type === "object") {
    return Object.fromEntries(Object.entries(s.properties || {}).map(([k, v]) => [k, example(v, depth + 1)]));
  }
  if (type === "array") return [example(s.items, depth + 1)];
  return { string: "", integer: 0, number: 0, boolean: false }[type] ?? null;
};
const rows = (entries) => make("table", {}, ...entries.map((cells) => make("tr", {}, ...cells.map((c) => make("td", {}, c)))));
const fields = (schema) => {
  const s = resolve(schema);
  if (!s || !s.properties) return null;
  const needed = new Set(s.required || []);
  return rows(Object.entries(s.properties).map(([name, field]) => [
    make("code", {}, name), shape(field) + (needed.has(name) ? "" : ", optional"),
    make("span", { class: "dim" }, field.description || (resolve(field) || {}).description || ""),
  ]));
};
const jsonOf = (content) => content && (content["application/json"] || content["application/problem+json"]);
const caller = (method, path, operation) => {
  const inputs = (operation.parameters || []).map((p) => [p, make("input", { placeholder: shape(p.schema) })]);
  const body = operation.requestBody && jsonOf(operation.requestBody.content);
  const text = body && make("textarea", { spellcheck: "false" });
  if (text) text.value = JSON.stringify(example(body.schema), null, 2);
  const answer = make("pre", { hidden: "" });
  const send = async () => {
    let url = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [p, input] of inputs) {
      if (p.in === "path") url = url.replace(`{${p.name}}`, encodeURIComponent(input.value));
      else if (input.value !== "" && p.in === "query") query.set(p.name, input.value);
      else if (input.value !== "" && p.in === "header") headers[p.name] = input.value;
    }
    if ($("token").value) headers.Authorization = `Bearer ${$("token").value}`;
    if (text) headers["Content-Type"] = "application/json";
    const tail = query.toString();
    const response = await fetch(url + (tail ? `?${tail}` : ""), { method: method.toUpperCase(), headers, body: text ? text.value : undefined });
    const raw = await response.text();
    let shown = raw;
    try { shown = JSON.stringify(JSON.parse(raw), null, 2); } catch { /* not JSON: as it is */ }
    answer.hidden = false;
    answer.textContent = `${response.status} ${response.statusText}\n${shown}`;
  };
  const failed = (error) => { answer.hidden = false; answer.textContent = String(error); };
  return make("div", {},
    inputs.length ? rows(inputs.map(([p, input]) => [make("code", {}, `${p.name}${p.required ? "" : "?"}`), p.in, input,
      make("span", { class: "dim" }, p.description || "")])) : null,
    body ? fields(body.schema) : null, text, make("p", {}, make("button", { type: "button", onclick: () => send().catch(failed) }, "Send")), answer);
};
const operation = (method, path, op) => make("details", { "data-text": `${method} ${path} ${op.summary || ""}`.toLowerCase() },
  make("summary", {}, make("span", { class: `method ${method}` }, method), make("code", {}, path), " ",
    make("span", { class: "dim" }, op.summary || "")),
  op.description ? make("p", {}, op.description) : null,
  caller(method, path, op),
  make("h4", {}, "Answers"),
  ...Object.entries(op.responses || {}).map(([status, r]) => {
    const media = jsonOf(r.content);
    return make("div", {}, make("p", {}, make("strong", {}, status), ` ${r.description || ""} `,
      media ? make("span", { class: "dim" }, shape(media.schema)) : null), media && status < "300" ? fields(media.schema) : null);
  }));
const show = () => {
  $("title").textContent = `${api.info.title} ${api.info.version}`;
  $("about").textContent = api.info.description || "";
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of ["get", "post", "put", "patch", "delete"]) {
      if (!item[method]) continue;
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(method, path, item[method]));
    }
  }
  $("operations").replaceChildren(...[...groups].map(([tag, list]) => make("section", {}, make("h2", {}, tag), ...list)));
};
$("access").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("input", () => {
  const wanted = $("filter").value.toLowerCase();
  for (const node of document.querySelectorAll("details")) node.hidden = !node.dataset.text.includes(wanted);
});
fetch("/openapi.json").then((r) => r.json()).then((json) => { api = json; show(); })
  .catch((error) => { $("operations").textContent = `openapi.json cannot be read: ${error}`; });
