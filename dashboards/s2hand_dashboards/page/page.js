"use strict";

const read = (id) => document.getElementById(id).textContent;
const figures = JSON.parse(read("figures"));
const root = document.documentElement;
const isPrinted = () => root.classList.contains("printing");
const dark = matchMedia("(prefers-color-scheme: dark)");
const PRINT_WIDTH = 660;

// Cards

for (const button of document.querySelectorAll("[data-card]")) {
  const card = document.getElementById(`card-${button.dataset.card}`);
  button.addEventListener("click", () => card.showModal());
  card.addEventListener("click", (event) => {
    if (event.target === card) card.close();
  });
}

// Figures

const probe = document.body.appendChild(document.createElement("i"));
probe.hidden = true;
const colour = (name) => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};

const themed = (layout) => {
  const lines = { gridcolor: colour("--line"), zerolinecolor: colour("--soft"), linecolor: colour("--line") };
  const axes = Object.keys(layout).filter((key) => /^[xy]axis/.test(key));
  return {
    ...layout,
    ...Object.fromEntries(axes.map((key) => [key, { ...lines, ...layout[key] }])),
    ...(isPrinted() ? { width: PRINT_WIDTH, autosize: false } : { autosize: true }),
    font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 13 },
    hoverlabel: { bgcolor: colour("--raised"), font: { color: colour("--ink") } },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
  };
};

const draw = async (place) => {
  const figure = figures[Number(place.dataset.figure)];
  const config = { displayModeBar: false, responsive: true };
  await Plotly.react(place, figure.data, themed(figure.layout), config);
  place.dataset.drawn = "yes";
};

const isSeen = (place) => !place.closest("details:not([open])");
const places = () => [...document.querySelectorAll(".plot")];
const drawSeen = () => Promise.all(places().filter(isSeen).map(draw));

const unpacked = async () => {
  const packed = Uint8Array.from(atob(read("plotly")), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};

const start = async () => {
  const script = document.createElement("script");
  script.textContent = await unpacked();
  document.head.append(script);
  await drawSeen();
  dark.addEventListener("change", drawSeen);
  for (const [event, isPrinting] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => {
      root.classList.toggle("printing", isPrinting);
      drawSeen();
    });
  }
  for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", drawSeen);
};

const tell = (error) => {
  for (const place of places()) {
    if (!place.dataset.drawn) place.textContent = `This figure cannot be drawn here (${error.message}).`;
  }
};

if (figures.length) {
  start().catch(tell).finally(() => { root.dataset.ready = "yes"; });
} else {
  root.dataset.ready = "yes";
}
