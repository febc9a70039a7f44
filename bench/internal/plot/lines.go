package plot

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"

	"github.com/tenter-dev/tenter/bench/internal/report"
)

// style is that of all plots. Lines and their names are of the classes s0, s1, …
const style = `
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.name { text-anchor: end }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.tick { font-size: 10px; text-anchor: middle; fill-opacity: .7 }
.y { text-anchor: end }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.s0 { stroke: #1f883d } .s1 { stroke: #0969da } .s2 { stroke: #9a6700 } .s3 { stroke: #8250df }
text.s0 { stroke: none; fill: #1f883d } text.s1 { stroke: none; fill: #0969da } text.s2 { stroke: none; fill: #9a6700 } text.s3 { stroke: none; fill: #8250df }
.spread { stroke: #24292f; stroke-opacity: .6 }
.peer { fill: #8c959f }
.ours { fill: #1f883d }
@media (prefers-color-scheme: dark) {
	text { fill: #e6edf3 }
	.spread { stroke: #e6edf3 }
	.ours { fill: #3fb950 }
	.s0 { stroke: #3fb950 } .s1 { stroke: #58a6ff } .s2 { stroke: #d29922 } .s3 { stroke: #bc8cff }
	text.s0 { fill: #3fb950 } text.s1 { fill: #58a6ff } text.s2 { fill: #d29922 } text.s3 { fill: #bc8cff }
}
`

// Chart shows how something depends on something else. Its y axis begins at 0.
type Chart struct {
	Title string // says what is on the y axis, with its unit
	X     string // what is on the x axis, with its unit
	LogX  bool
	Lines []Line
}

// Line is one line of a chart.
type Line struct {
	Name   string
	Points []Point
}

// Point is what was measured.
type Point struct{ X, Y float64 }

// The measures of a chart, in the units of the plot.
const (
	chartColumns = 2
	chartWidth   = 480
	chartHeight  = 230
	gap          = 26
	left         = 56
	right        = 12
	top          = 44
	bottom       = 40
)

// margin is what is free on each side.
const margin = 12

// Begin begins a picture of a size, without its margins. The title is for readers who can't see it.
func Begin(b *bytes.Buffer, width, height int, title string) {
	width, height = width+2*margin, height+2*margin
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="%d %d %d %d" width="%d" height="%d" role="img">`, -margin, -margin, width, height, width, height)
	fmt.Fprintf(b, "\n<title>%s</title>\n<style>%s</style>\n", html.EscapeString(title), style)
}

// Write draws charts into a file, and makes its directory. It does nothing without a path.
func Write(path, title string, charts []Chart) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, Draw(title, charts), 0o644)
}

// Draw draws charts of lines, two in a row.
func Draw(title string, charts []Chart) []byte {
	var b bytes.Buffer
	rows := (len(charts) + chartColumns - 1) / chartColumns
	Begin(&b, chartColumns*(chartWidth+gap), rows*(chartHeight+gap), title)
	for i, c := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%chartColumns*(chartWidth+gap), i/chartColumns*(chartHeight+gap))
		c.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (c *Chart) draw(b *bytes.Buffer) {
	fmt.Fprintf(b, `<text class="title" x="0" y="14">%s</text>`+"\n", html.EscapeString(c.Title))
	low, high, most := c.ranges()
	step := niceStep(most)
	most = math.Ceil(most/step) * step
	x := func(v float64) float64 {
		if c.LogX {
			v = math.Log10(v)
		}
		return left + (v-low)/(high-low)*(chartWidth-left-right)
	}
	y := func(v float64) float64 { return chartHeight - bottom - v/most*(chartHeight-top-bottom) }
	for v := 0.0; v <= most*1.001; v += step {
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="tick y" x="%d" y="%.1f">%s</text>`+"\n",
			left, chartWidth-right, y(v), y(v), left-6, y(v)+3, report.Number(v))
	}
	for _, v := range c.ticks(low, high) {
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%d">%s</text>`, x(v), chartHeight-bottom+14, report.Number(v))
	}
	fmt.Fprintf(b, "\n"+`<text class="tick" x="%d" y="%d">%s</text>`+"\n", (left+chartWidth-right)/2, chartHeight-bottom+30, html.EscapeString(c.X))
	at := left
	for i, l := range c.Lines {
		fmt.Fprintf(b, `<polyline class="line s%d" points="`, i)
		for _, p := range l.Points {
			fmt.Fprintf(b, "%.1f,%.1f ", x(p.X), y(p.Y))
		}
		fmt.Fprintf(b, `"/><text class="s%d" x="%d" y="32">%s</text>`+"\n", i, at, html.EscapeString(l.Name))
		at += 24 + 7*len(l.Name)
	}
}

// ranges returns what the axes have to show. The x axis is logarithmic if LogX.
func (c *Chart) ranges() (low, high, most float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, l := range c.Lines {
		for _, p := range l.Points {
			v := p.X
			if c.LogX {
				v = math.Log10(v)
			}
			low, high, most = min(low, v), max(high, v), max(most, p.Y)
		}
	}
	if low >= high {
		high = low + 1
	}
	if most == 0 {
		most = 1
	}
	return low, high, most
}

func (c *Chart) ticks(low, high float64) (at []float64) {
	if c.LogX {
		for decade := math.Ceil(low - 0.001); decade <= high+0.001; decade++ {
			at = append(at, math.Pow(10, decade))
		}
		return at
	}
	step := niceStep(high - low)
	for v := math.Ceil(low/step) * step; v <= high*1.001; v += step {
		at = append(at, v)
	}
	return at
}

// niceStep divides a range into about four.
func niceStep(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if power*m >= most/4 {
			return power * m
		}
	}
	return power * 10
}
