-- Draws docs/overview.svg, the picture in the README: luajit tests/tools/overview.lua > docs/overview.svg. Boxes
-- stand on a grid of one pixel; every colour and size is named here.

local WIDTH, HEIGHT = 860, 300
local INK, FAINT, PAPER = "#1f2933", "#66727f", "#ffffff"
local LINES = {
  { name = "fibre", what = "wan0 · 500 Mbit/s", colour = "#2563eb", load = 0.9 },
  { name = "DSL", what = "wan1 · 50 Mbit/s", colour = "#0f9d76", load = 0.9 },
  { name = "LTE backup", what = "wwan0 · idle", colour = "#c2620e", load = 0 },
}
local CLIENTS = { "browser", "downloads", "uploads", "the household" }

local out = {}
local function put(fmt, ...) out[#out + 1] = fmt:format(...) end

local function text(x, y, words, size, colour, anchor, weight)
  put('<text x="%d" y="%d" font-size="%d" fill="%s" text-anchor="%s" font-weight="%s">%s</text>',
    x, y, size, colour or INK, anchor or "middle", weight or "normal", words)
end

local function box(x, y, w, h, stroke, fill)
  put('<rect x="%d" y="%d" width="%d" height="%d" rx="8" fill="%s" stroke="%s" stroke-width="1.5"/>',
    x, y, w, h, fill or PAPER, stroke)
end

-- A curve from left to right, flat at both ends.
local function curve(x1, y1, x2, y2, colour, width, dash)
  local mid = (x1 + x2) / 2
  put('<path d="M%d %d C%d %d %d %d %d %d" fill="none" stroke="%s" stroke-width="%d"%s/>',
    x1, y1, mid, y1, mid, y2, x2, y2, colour, width, dash and ' stroke-dasharray="5 5"' or "")
end

local function row(i, n) return 46 + (i - 0.5) * (HEIGHT - 62) / n end

put('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="DejaVu Sans, Verdana, sans-serif">', WIDTH, HEIGHT)
put("<title>Clients connect to one port of Steerway; a Lua policy spreads their connections over several lines</title>")
put('<rect width="%d" height="%d" rx="12" fill="#f6f8fa"/>', WIDTH, HEIGHT)
text(90, 30, "your clients", 13, FAINT)
text(335, 30, "this machine", 13, FAINT)
text(600, 30, "your lines", 13, FAINT)

for i, name in ipairs(CLIENTS) do
  local y = row(i, #CLIENTS)
  curve(160, y, 230, 165, FAINT, 2)
  box(20, y - 19, 140, 38, FAINT)
  text(90, y + 5, name, 14)
end
for i, line in ipairs(LINES) do
  local y = row(i, #LINES)
  curve(440, 165, 510, y, line.colour, line.load > 0 and 2 + 4 * line.load or 2, line.load == 0)
  curve(690, y, 750, 165, line.colour, line.load > 0 and 2 + 4 * line.load or 2, line.load == 0)
  box(510, y - 24, 180, 48, line.colour)
  text(600, y - 3, line.name, 14, line.colour, "middle", "bold")
  text(600, y + 15, line.what, 12, FAINT)
end

box(230, 60, 210, 220, INK)
text(335, 90, "Steerway", 18, INK, "middle", "bold")
text(335, 112, "one port: SOCKS4, 4a, 5, HTTP", 11, FAINT)
box(250, 126, 170, 84, "#7c3aed", "#f5f0ff")
text(335, 150, "policy.lua", 14, "#7c3aed", "middle", "bold")
text(335, 171, "picks a line for", 12)
text(335, 188, "each connection", 12)
text(335, 234, "watches the lines,", 12, FAINT)
text(335, 251, "tries another one on failure", 12, FAINT)

put('<circle cx="790" cy="165" r="42" fill="%s" stroke="%s" stroke-width="1.5"/>', PAPER, INK)
text(790, 170, "internet", 14)
put("</svg>")
io.write(table.concat(out, "\n"), "\n")
