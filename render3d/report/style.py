"""How reports look, light or dark as the reader's system is."""

STYLE = """\
:root {
  color-scheme: light dark;
  --ground: light-dark(#ffffff, #16181c);
  --ink: light-dark(#1d2127, #e4e6ea);
  --quiet: light-dark(#646b76, #98a0ac);
  --line: light-dark(#dfe2e7, #343941);
  --panel: light-dark(#f6f7f9, #1e2127);
  --series-1: light-dark(#0a62c2, #6cb0ff);
  --series-2: light-dark(#c8500a, #ff9d5c);
  --series-3: light-dark(#2b7d3f, #6fcf86);
  --series-4: light-dark(#7a3fb5, #c39bf0);
  --series-5: light-dark(#b0305e, #f58bb0);
  --series-6: light-dark(#6b6414, #cfc45a);
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 40px 28px 64px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0 0 4px; font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 44px 0 12px; padding-top: 14px; border-top: 1px solid var(--line); font-size: 19px; }
p { margin: 0 0 14px; max-width: 75ch; }
.lead { color: var(--quiet); font-size: 16px; }
.columns { display: flex; flex-wrap: wrap; gap: 28px; align-items: flex-start; }
.columns > * { flex: 1 1 320px; min-width: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
table.words :is(th, td) { text-align: left; vertical-align: top; }
table.words td:nth-child(2) { overflow-wrap: anywhere; }
section { overflow-x: auto; }
table + table { margin-top: 18px; }
thead th { color: var(--quiet); font-size: 13px; font-weight: 500; vertical-align: bottom; }
tbody tr.chosen { background: var(--panel); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 20px; margin: 0; font-size: 14px; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--width), 1fr)); gap: 14px 8px; }
.gallery figure { margin: 0; }
.gallery figure img { display: block; width: 100%; border: 1px solid var(--line); image-rendering: pixelated; }
.gallery figure img + img { border-top: 0; }
figcaption { margin-top: 3px; color: var(--quiet); font-size: 12px; line-height: 1.3; overflow-wrap: anywhere; }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 12px; color: var(--quiet); font-size: 13px; }
.key i { display: inline-block; width: 11px; height: 11px; margin-right: 6px; border: 1px solid var(--line); }
.grid { display: grid; grid-template-columns: 132px repeat(var(--columns), minmax(120px, 300px)); gap: 6px 8px;
  overflow-x: auto; margin: 0 0 22px; }
.grid .head { overflow-wrap: anywhere; font-size: 13px; font-weight: 600; align-self: end; }
.grid .label { color: var(--quiet); font-size: 12px; line-height: 1.35; }
.grid .label b { display: block; margin-bottom: 4px; color: var(--ink); font-size: 13px; }
.grid .key { display: block; margin: 4px 0 0; font-size: 12px; }
.grid .key span { display: block; }
.grid .none { align-self: center; color: var(--quiet); text-align: center; }
.grid img { display: block; width: 100%; border: 1px solid var(--line); }
.grid img.pixels { image-rendering: pixelated; }
.scale { margin-top: 5px; font-size: 11px; font-variant-numeric: tabular-nums; }
.scale i { display: block; height: 10px; border: 1px solid var(--line); }
.scale div { display: flex; justify-content: space-between; }
.scale small { font-size: 11px; }
ul { margin: 0 0 14px; padding-left: 20px; }
a { color: var(--series-1); }
figure.animation { margin: 0; }
figure.animation img { display: block; width: 100%; max-width: 360px; border: 1px solid var(--line);
  border-radius: 6px; }
svg.curves { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg.curves text { fill: var(--quiet); }
svg.curves text.title { fill: var(--ink); font-size: 14px; font-weight: 600; }
svg.curves .grid { stroke: var(--line); stroke-width: 1; }
svg.curves .series { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg.curves .band { opacity: 0.16; }
svg.curves .level { stroke-width: 1.2; stroke-dasharray: 5 4; }
"""
