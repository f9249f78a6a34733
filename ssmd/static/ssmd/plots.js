"use strict";
// Two small pictures in SVG: a line over time, and the depth of an order book. They draw; they decide nothing.

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// `values`: one a second, oldest first; however many there are, they fill the width.
function drawRate(svg, values) {
  if (values.length < 2) { svg.replaceChildren(); return; }
  const top = Math.max(1, ...values), last = values.length - 1;
  svg.setAttribute("viewBox", `0 0 ${last} 100`);
  const points = values.map((value, index) => `${index},${(98 - (value / top) * 94).toFixed(1)}`);
  svg.replaceChildren(
    shape("path", { d: `M0,100 L${points.join(" L")} L${last},100 Z`, class: "area" }),
    shape("polyline", { points: points.join(" "), class: "line" }),
  );
}

// `levels`: [price, size], best first. Returns [price, what rests up to there].
function cumulated(levels) {
  let sum = 0;
  return levels.map(([price, size]) => [price, (sum += size)]);
}

function drawDepth(svg, bids, asks) {
  const width = svg.clientWidth || 400, height = svg.clientHeight || 280, foot = 18;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const bidSteps = cumulated(bids), askSteps = cumulated(asks);
  const top = Math.max(1, ...bidSteps.concat(askSteps).map(([, sum]) => sum));
  const x = (price) => 4 + price * (width - 8);
  const y = (sum) => height - foot - (sum / top) * (height - foot - 16);
  const parts = [];
  for (const price of [0, 0.25, 0.5, 0.75, 1]) {
    const anchor = price === 0 ? "start" : price === 1 ? "end" : "middle";
    parts.push(shape("line", { x1: x(price), x2: x(price), y1: 12, y2: height - foot, class: "axis" }));
    parts.push(shape("text", { x: x(price), y: height - 4, "text-anchor": anchor, class: "axis-text" }, `$${price.toFixed(2)}`));
  }
  parts.push(shape("text", { x: 6, y: 10, class: "axis-text" }, `${Math.round(top).toLocaleString("en")} contracts`));
  if (bids.length) parts.push(shape("path", { d: stairs(bidSteps, x, y, 0), class: "bid-area" }));
  if (asks.length) parts.push(shape("path", { d: stairs(askSteps, x, y, 1), class: "ask-area" }));
  svg.replaceChildren(...parts);
}

// From the best price outwards to `end`, each level a step.
function stairs(steps, x, y, end) {
  let path = `M${x(steps[0][0])},${y(0)}`;
  let before = 0;
  for (const [price, sum] of steps) {
    path += ` L${x(price)},${y(before)} L${x(price)},${y(sum)}`;
    before = sum;
  }
  return `${path} L${x(end)},${y(before)} L${x(end)},${y(0)} Z`;
}
