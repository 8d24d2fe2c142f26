// Tables below the charts: processes, releases, dead letters, drift, epochs, every metric.
import { age, bytes, clockTime, el, moment, number, percent, short } from "./format.js";

const STALE_S = 10;
let find = "";

function table(columns, rows, none) {
  if (!rows.length) return el("div", { class: "empty" }, none);
  const head = el("tr", {}, ...columns.map(([name, kind]) => el("th", { class: kind ?? "" }, name)));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell, i) => el("td", { class: columns[i][1] ?? "" }, cell ?? "–"))));
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

const card = (title, note, content) => el("div", { class: "card" }, el("h2", {}, title, el("small", {}, note)), content);

const ago = (us, now) => {
  const seconds = (now - us) / 1e6;
  return el("span", { class: seconds > STALE_S ? "stale-age" : "soft" }, us ? age(seconds) : "never");
};

// What a process says of why it is not ready, or of what blocks it.
const waitsFor = (p) => p.blocked || p.reason || "";

// What a person must look at: faults of the mesh itself, and processes that wait for something.
function alerts(state, now) {
  const bugs = state.dead_letters.recent.filter((p) => p.kind === "bug").reverse().map((p) => [
    el("span", { class: "tag bad" }, "bug"), p.service, el("span", { class: "soft" }, age((now - p.at_us) / 1e6)), p.reason]);
  const waiting = state.processes.filter((p) => waitsFor(p)).map((p) => [
    el("span", { class: "tag warn" }, p.blocked ? "blocked" : "not ready"), p.name, ago(p.at_us, now), waitsFor(p)]);
  const rows = [...waiting, ...bugs];
  return rows.length ? card("Alerts", "twinstream status and twinstream dead-letters list --kind bug say more",
    table([[""], ["who", "short"], ["when", "short"], ["what", "long"]], rows, "")) : null;
}

function processes(state, now) {
  const rows = state.processes.map((p) => {
    const stale = (now - p.at_us) / 1e6 > STALE_S;
    const dot = el("i", { class: `state ${stale ? "off" : p.ready ? "" : "wait"}`, title: stale ? "silent" : p.ready ? "ready" : "not ready" });
    return [el("span", {}, dot, p.name), el("span", { class: "soft" }, stale ? "silent" : p.ready ? "ready" : "not ready"), p.lag === null ? "–" : short(p.lag), ago(p.at_us, now)];
  });
  return card("Processes", "on this host", table([["name"], ["state"], ["lag, messages", "n"], ["last sign", "n"]], rows, "No process has given a sign of life."));
}

function releases(state) {
  const errors = state.models.some((model) => model.binary === false);
  const rows = state.models.flatMap((model) => model.releases.map((r) => [
    el("span", { class: "mono" }, r.release), model.name,
    r.release === model.release ? el("span", { class: "tag good" }, "answers") : el("span", { class: "tag" }, "before"),
    short(r.predictions), short(r.labelled), number(r.auc ?? r.rmse, 3), number(r.log_loss ?? r.mae, 3)]));
  return card("Releases", "definition, epoch, model: what answered",
    table([["release", "short"], ["model", "short"], [""], ["predictions", "n"], ["labelled", "n"], [`AUC${errors ? ", RMSE" : ""}`, "n"], [`log loss${errors ? ", MAE" : ""}`, "n"]], rows, "Nothing was predicted yet."));
}

function labels(state) {
  const rows = state.models.map((m) => [
    m.name, short(m.predictions), short(m.pending), short(m.unjudged), short(m.labels.arrived), short(m.labels.missing), short(m.labels.revised), percent(m.base_rate),
    percent(m.prediction_mean), moment(m.last_labelled_us)]);
  return card("Labels", "how predictions met what came true", table(
    [["model", "short"], ["predictions", "n"], ["waiting", "n"], ["not judged", "n"], ["arrived", "n"], ["missing", "n"], ["revised", "n"], ["true share", "n"], ["mean score", "n"], ["last known", "n"]],
    rows, "No model is declared."));
}

function sources(state) {
  const rows = state.sources.map((s) => [s.name, short(s.logged), short(s.duplicates), short(s.dead_letters)]);
  return card("Sources", "seen by this page", table([["source"], ["logged", "n"], ["duplicates", "n"], ["dead letters", "n"]], rows, "No source is declared."));
}

function epochs(state) {
  const rows = [...state.epochs].reverse().map((e) => {
    const views = Object.values(e.views);
    return [`e${e.epoch}`, views.length, bytes(e.bytes), short(e.files), short(Object.values(e.training_rows).reduce((a, b) => a + b, 0)), moment(e.as_of_us), clockTime(Math.max(...views, 0))];
  });
  return card("Epochs", "batch views on S3", table(
    [["epoch"], ["views", "n"], ["bases", "n"], ["files", "n"], ["training rows", "n"], ["as of", "n"], ["published", "n"]], rows, "No epoch has ended yet."));
}

function drift(state) {
  const model = state.models.find((m) => m.drift.length) ?? state.models[0];
  const rows = (model?.drift ?? []).map((f) => {
    const share = f.detector === "ks" ? f.statistic : Math.min(1, f.statistic * 4);
    return [
      el("span", { class: "mono" }, f.series), f.detector === "ks" ? "KS" : "ADWIN",
      el("span", {}, el("span", { class: "bar", width: `${Math.round(60 * share)}px` }), number(f.statistic, 3)),
      f.shift === null ? "–" : `${f.shift > 0 ? "+" : ""}${number(f.shift, 2)} σ`, f.detector === "ks" ? percent(f.nulls, 0) : "–",
      f.drifted ? el("span", { class: "tag warn" }, "drift") : el("span", { class: "tag" }, "same")];
  });
  const seen = model && model.drift_seen < 1 ? `features: ${percent(model.drift_seen, 0)} of the predictions that a comparison needs` : "latest against the model's first predictions";
  return card("Drift", seen, table([["series", "short"], ["test"], ["statistic", "short"], ["mean", "n"], ["null", "n"], ["", "n"]], rows, "No comparison yet."));
}

function deadLetters(state, now) {
  const total = Object.values(state.dead_letters.total).reduce((a, b) => a + b, 0);
  const rows = [...state.dead_letters.recent].reverse().map((p) => [
    el("span", { class: "soft" }, age((now - p.at_us) / 1e6)), p.service,
    p.kind === "bug" ? el("span", {}, el("span", { class: "tag bad" }, "bug"), " ", p.reason) : p.reason, el("span", { class: "mono soft" }, `${p.topic}[${p.partition}]@${p.offset}`)]);
  return card("Dead letters", `${number(total)} messages that could not be handled, kept with their bytes`,
    table([["when", "short"], ["by"], ["reason", "long"], ["from", "long"]], rows, "No dead letters."));
}

function asked(state) {
  if (!state.retrain_events.length) return null;
  const rows = [...state.retrain_events].reverse().map((r) => [clockTime(r.requested_at_us), r.model, r.reason]);
  return card("Retraining requested", "", table([["when", "short"], ["model", "short"], ["reason", "long"]], rows, ""));
}

export function showTables(node, state, now) {
  const kept = node.querySelector("#metrics-card") ?? metricsCard();
  const scrolled = [...node.querySelectorAll(".scroll")].map((s) => s.scrollTop);
  const stack = (...cards) => el("div", { class: "stack" }, ...cards.filter(Boolean));
  node.replaceChildren(
    stack(alerts(state, now), processes(state, now), sources(state), drift(state)),
    stack(releases(state), labels(state), epochs(state), asked(state), deadLetters(state, now)), kept);
  [...node.querySelectorAll(".scroll")].forEach((s, i) => { s.scrollTop = scrolled[i] ?? 0; });
  showMetrics(kept, state, now);
}

function metricsCard() {
  const input = el("input", { class: "find", type: "search", placeholder: "find a metric", "aria-label": "Find a metric" });
  input.addEventListener("input", () => { find = input.value.toLowerCase(); });
  return el("div", { class: "card all", id: "metrics-card" }, el("h2", {}, "All metrics", el("small", {}, "newest value of every series"), input), el("div", { id: "metrics" }));
}

function showMetrics(node, state, now) {
  const rows = state.metrics
    .map((m) => ({ ...m, text: Object.entries(m.labels).map(([k, v]) => `${k}=${v}`).join(" ") }))
    .filter((m) => `${m.name} ${m.service} ${m.text}`.toLowerCase().includes(find))
    .map((m) => [
      el("span", { class: "mono" }, m.name), m.service, el("span", { class: "mono soft" }, m.text),
      m.kind === "summary" ? Object.entries(m.quantiles).map(([k, v]) => `${k} ${number(v)}`).join("  ") : number(m.value, m.unit === "1" && Number.isInteger(m.value) ? 0 : undefined),
      el("span", { class: "soft" }, m.unit === "1" ? "" : m.unit), ago(m.at_us, now)]);
  const target = node.querySelector("#metrics"), top = target.querySelector(".scroll")?.scrollTop ?? 0;
  target.replaceChildren(table([["name", "short"], ["service"], ["labels", "long"], ["value", "n"], ["unit"], ["age", "n"]], rows, "None."));
  const scroll = target.querySelector(".scroll");
  if (scroll) scroll.scrollTop = top;
}
