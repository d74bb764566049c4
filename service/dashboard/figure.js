// A figure of the service, in the colors of the page. Plotly is loaded when a view with figures opens, and only then.
import { get } from "./api.js";
import { element, fill } from "./dom.js";

let loading = null;

function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const { content: version } = document.querySelector("meta[name=plotly-version]");
    const script = element("script", { src: `/dashboard/plotly.min.js?v=${version}` });
    script.addEventListener("load", () => resolve(globalThis.Plotly));
    script.addEventListener("error", () => { loading = null; reject(new Error("Plotly could not be loaded from this service.")); });
    document.head.append(script);
  });
  return loading;
}

/** Begin to load what figures need, while a view still asks for its data. If it fails, the figure will say so. */
export function prepareFigures() {
  plotly().catch(() => {});
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false, scrollZoom: false };

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** What Plotly draws with where the figure says nothing. */
function template() {
  const axis = { gridcolor: color("--line"), linecolor: color("--line"), zerolinecolor: color("--line"), automargin: true, title: { standoff: 12 } };
  const font = { family: getComputedStyle(document.body).fontFamily, color: color("--soft"), size: 12 };
  const bar = { outlinewidth: 0, tickfont: font, title: { font } };
  return {
    layout: {
      font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", xaxis: axis, yaxis: axis, coloraxis: { colorbar: bar },
      hoverlabel: { bgcolor: color("--card"), bordercolor: color("--line"), font: { ...font, color: color("--ink") } },
      annotationdefaults: { font: { ...font, size: 11 }, bgcolor: color("--card"), opacity: 0.85 },
    },
  };
}

/** The middle of a diverging scale is the page's own: nothing to see there, in light and in dark. */
function muted(scaled) {
  return { ...scaled, colorscale: scaled.colorscale.map(([at, shade]) => [at, at === 0.5 ? color("--middle") : shade]) };
}

function themed(trace) {
  return trace.meta === "diverging" && trace.colorscale ? muted(trace) : trace;
}

/**
 * A place for a figure. `show(path)` draws what the service has there, again and again if asked.
 * A click on a trial's point calls `onTrial` with its id.
 */
export function figure({ onTrial = null, isLow = false } = {}) {
  const caption = element("figcaption");
  const plot = element("div", { class: isLow ? "plot low" : "plot" });
  const whole = element("figure", {}, caption, plot);
  let asked = 0;
  let drawn = null;

  async function draw(library) {
    const { title, margin, legend, ...layout } = drawn.layout;
    const narrow = plot.clientWidth < 520;
    fill(caption, title.text);
    plot.setAttribute("role", "img"); // a picture from now on: before, it is the words that there is none yet
    plot.setAttribute("aria-label", title.text);
    if (!plot.classList.contains("js-plotly-plot")) fill(plot);
    await library.react(plot, drawn.data.map(themed), {
      ...layout, ...(layout.coloraxis ? { coloraxis: muted(layout.coloraxis) } : {}), template: template(), autosize: true, dragmode: narrow ? false : "zoom",
      margin: { ...margin, t: layout.coloraxis ? 68 : legend && layout.showlegend ? 36 : 12, l: narrow ? 48 : 60, r: narrow ? 8 : 20 },
      legend: { ...legend, font: { color: color("--soft") } },
    }, CONFIG);
    if (onTrial && !plot.dataset.leads) {
      plot.dataset.leads = "yes";
      plot.on("plotly_click", ({ points }) => { const id = points[0]?.customdata?.[0]; if (id) onTrial(id); });
    }
  }

  async function show(path, signal) {
    const mine = ++asked;
    if (!drawn) fill(plot, element("p", { class: "soft" }, "Drawing …"));
    try {
      const [found, library] = await Promise.all([get(path, signal), plotly()]);
      if (mine !== asked) return;
      drawn = found;
      await draw(library);
    } catch (error) {
      if (error.name === "AbortError" || mine !== asked) return;
      fill(caption, `This figure could not be drawn: ${error.message}`);
    }
  }

  function end() {
    dark.removeEventListener("change", redraw);
    if (plot.classList.contains("js-plotly-plot")) globalThis.Plotly.purge(plot);
  }
  const redraw = () => { if (drawn) draw(globalThis.Plotly); };
  dark.addEventListener("change", redraw);
  return { whole, show, end };
}
