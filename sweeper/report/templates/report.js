"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const figures = [...document.querySelectorAll(".moving")];

  // Plotly's own template: what a figure leaves open, it takes from here.
  const template = (isDark) => {
    const ink = isDark ? "#e6e9ed" : "#1d2329", grid = isDark ? "#39424d" : "#dde3e9";
    const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, tickcolor: grid, automargin: true };
    const clear = "rgba(0,0,0,0)";
    return {
      layout: {
        font: { color: ink, family: "system-ui, sans-serif", size: 13 }, paper_bgcolor: clear, plot_bgcolor: clear,
        xaxis: axis, yaxis: axis, hoverlabel: { bgcolor: isDark ? "#1d232b" : "#ffffff", font: { color: ink } },
        modebar: { bgcolor: clear, color: isDark ? "#a3adb8" : "#57606a", activecolor: ink },
      },
    };
  };

  const draw = (isDark, width) => {
    for (const place of figures) {
      const data = JSON.parse(place.closest("figure").querySelector("script").textContent);
      const layout = { ...data.layout, template: template(isDark), ...(width ? { width: Math.min(width, place.clientWidth || width) } : {}) };
      place.hidden = false;
      Plotly.react(place, data.data, layout, { responsive: true, displaylogo: false, displayModeBar: width ? false : "hover", modeBarButtons: [["resetScale2d", "toImage"]] });
      place.closest("figure").querySelector(".still").hidden = true;
    }
  };

  const cell = (row, column) => row.cells[column].textContent;
  const value = (text) => parseFloat(text.replace(/,/g, ""));

  const sortable = (table) => {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const ascending = head.getAttribute("aria-sort") !== "ascending", sign = ascending ? 1 : -1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        const isNumber = head.classList.contains("number");
        const order = (one, other) => {
          const [a, b] = [cell(one, column), cell(other, column)];
          if (!a || !b) return !a - !b;  // empty cells come last
          return sign * (isNumber ? value(a) - value(b) : a.localeCompare(b));
        };
        body.append(...[...body.rows].sort(order));
      });
    });
    const label = document.createElement("label"), field = document.createElement("input"), found = document.createElement("span");
    field.type = "search";
    found.setAttribute("role", "status");
    label.append("Show rows with ", field);
    const bar = document.createElement("div");
    bar.className = "filter";
    bar.append(label, found);
    table.closest(".wide").before(bar);
    field.addEventListener("input", () => {
      const word = field.value.toLowerCase();
      const rows = [...body.rows];
      rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(word); });
      found.textContent = word ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
    });
  };

  document.querySelectorAll("table.sortable").forEach(sortable);
  if (figures.length && window.Plotly) {
    draw(dark.matches);
    dark.addEventListener("change", () => draw(dark.matches));
    // Paper is white, and narrower than most windows; nothing on it can be opened.
    addEventListener("beforeprint", () => draw(false, 660));
    addEventListener("afterprint", () => draw(dark.matches));
  }
  const closed = [];
  addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach((one) => { one.open = true; closed.push(one); }));
  addEventListener("afterprint", () => closed.splice(0).forEach((one) => { one.open = false; }));
})();
