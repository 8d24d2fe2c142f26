"use strict";
// Shows what /openapi.json says, and sends what a reader fills in. Everything is set as text, never as markup.

const MOST_SHOWN = 100000;

function made(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function words(text, attributes) {
  const parts = (text || "").split("`");
  return made("span", attributes, ...parts.map((part, i) => (i % 2 ? made("code", { text: part }) : part)));
}

function field(parameter) {
  const schema = parameter.schema || {};
  const attributes = { name: parameter.name };
  let input;
  if (schema.enum) {
    input = made("select", attributes, ...schema.enum.map((value) => made("option", { text: value })));
  } else {
    input = made("input", { ...attributes, placeholder: schema.type === "array" ? "several: one, two" : schema.type || "" });
    if (parameter.required) input.required = true;
  }
  const label = made("label", {}, made("code", { text: parameter.name + (parameter.required ? " *" : "") }), input);
  if (parameter.description) label.append(made("small", { text: parameter.description }));
  return { parameter, input, label };
}

function addressOf(path, fields) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  for (const { parameter, input } of fields) {
    const value = input.value;
    if (parameter.in === "path") address = address.replace("{" + parameter.name + "}", encodeURIComponent(value));
    else if (value === "") continue;
    else if (parameter.in === "header") headers[parameter.name] = value;
    else if ((parameter.schema || {}).type === "array") value.split(",").forEach((one) => query.append(parameter.name, one.trim()));
    else query.append(parameter.name, value);
  }
  const text = query.toString();
  return { address: text ? address + "?" + text : address, headers };
}

async function shown(answer) {
  const kind = answer.headers.get("content-type") || "";
  if (!/json|text|javascript/.test(kind)) return "(" + (await answer.arrayBuffer()).byteLength + " bytes of " + kind + ")";
  const text = await answer.text();
  if (!kind.includes("json")) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch (error) { return text; }
}

async function send(method, path, fields, body, out, button) {
  const { address, headers } = addressOf(path, fields);
  const asked = { method, headers };
  if (body) {
    asked.body = body.value;
    headers["content-type"] = "application/json";
  }
  button.disabled = true;
  const begun = performance.now();
  try {
    const answer = await fetch(address, asked);
    const text = await shown(answer);
    const took = Math.round(performance.now() - begun);
    const head = made("p", { class: "status " + (answer.ok ? "good" : "bad"), text: answer.status + " " + answer.statusText + ", " + took + " ms, " + address });
    out.replaceChildren(head, made("pre", { text: text.slice(0, MOST_SHOWN) }));
  } catch (error) {
    out.replaceChildren(made("p", { class: "status bad", text: "no answer: " + error.message }));
  } finally {
    button.disabled = false;
  }
}

function statuses(responses) {
  const rows = Object.entries(responses).map(([status, answer]) =>
    made("tr", {}, made("td", { text: status }), made("td", {}, words(answer.description)), made("td", { text: Object.keys(answer.content || {}).join(", ") })));
  return made("table", {}, ...rows);
}

function bodyOf(operation) {
  if (!operation.requestBody) return null;
  const content = Object.values(operation.requestBody.content)[0];
  const input = made("textarea", { spellcheck: "false", "aria-label": "body" });
  input.value = JSON.stringify(content.example || {}, null, 2);
  return input;
}

function operation(method, path, described) {
  const fields = (described.parameters || []).map(field);
  const body = bodyOf(described);
  const button = made("button", { type: "submit", text: "Send" });
  const out = made("div", { "aria-live": "polite" });
  const form = made("form", {}, ...fields.map((one) => one.label));
  if (body) form.append(body);
  form.append(button, out, statuses(described.responses));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (/event-stream/.test(JSON.stringify(Object.keys((described.responses["200"] || {}).content || {})))) {
      out.replaceChildren(made("p", { class: "status", text: "a stream without an end: open " + path + " itself" }));
      return;
    }
    send(method.toUpperCase(), path, fields, body, out, button);
  });
  const head = made("summary", {}, made("span", { class: "method " + method, text: method.toUpperCase() }), made("span", { class: "path", text: path }), words(described.summary, { class: "what" }));
  return made("details", { id: described.operationId }, head, form);
}

async function main() {
  const main = document.getElementById("operations");
  try {
    const description = await (await fetch("/openapi.json")).json();
    document.title = description.info.title;
    document.getElementById("title").textContent = description.info.title;
    document.getElementById("version").textContent = description.info.version;
    const all = Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, described]) => operation(method, path, described)));
    main.replaceChildren(...all);
    const chosen = document.getElementById(location.hash.slice(1));
    if (chosen) chosen.open = true;
  } catch (error) {
    document.getElementById("wait").textContent = "/openapi.json could not be read: " + error.message;
  }
}

main();
