package main

import (
	"bytes"
	"fmt"
	"html"
	"math"

	"github.com/tenter-dev/tenter/bench/internal/plot"
	"github.com/tenter-dev/tenter/bench/internal/report"
)

// The measures of the plot, in its units.
const (
	columns     = 2
	chartWidth  = 480
	labelWidth  = 130
	valueWidth  = 60
	barWidth    = chartWidth - labelWidth - valueWidth
	lineHeight  = 20
	titleHeight = 34
	chartGap    = 26
)

// draw draws the medians as bars on logarithmic axes, with what the rounds ranged over.
func draw(outcomes []*outcome) []byte {
	chartHeight := titleHeight + lineHeight*len(outcomes) + chartGap
	rows := (len(charts) + columns - 1) / columns
	var b bytes.Buffer
	plot.Begin(&b, columns*(chartWidth+chartGap), rows*chartHeight, "Tenter and its peers, on logarithmic axes")
	for i, m := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%columns*(chartWidth+chartGap), i/columns*chartHeight)
		chart(&b, m, outcomes)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func chart(b *bytes.Buffer, m *metric, outcomes []*outcome) {
	fmt.Fprintf(b, `<text class="title" x="0" y="14">%s</text>`+"\n", html.EscapeString(m.chart))
	a := axisOf(m, outcomes)
	bottom := titleHeight + lineHeight*len(outcomes)
	for decade := a.low; decade <= a.high; decade++ {
		x := a.at(math.Pow10(decade))
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text class="tick" x="%.1f" y="%d">%s</text>`+"\n",
			x, x, titleHeight-6, bottom, x, titleHeight-9, report.Number(math.Pow10(decade)))
	}
	for i, o := range outcomes {
		y := titleHeight + lineHeight*i
		fmt.Fprintf(b, `<text class="name" x="%d" y="%d">%s</text>`, labelWidth-6, y+13, html.EscapeString(o.name))
		median, lowest, highest, ok := o.of(m)
		if !ok {
			fmt.Fprintf(b, `<text x="%d" y="%d">–</text>`+"\n", labelWidth+4, y+13)
			continue
		}
		class := "peer"
		if o.ours {
			class = "ours"
		}
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`, class, labelWidth, y+3, a.at(median)-labelWidth, lineHeight-6)
		fmt.Fprintf(b, `<line class="spread" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, a.at(lowest), a.at(highest), y+lineHeight/2, y+lineHeight/2)
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", a.at(highest)+5, y+14, report.Number(median))
	}
}

// axis is logarithmic, from one power of ten to another.
type axis struct{ low, high int }

func axisOf(m *metric, outcomes []*outcome) axis {
	least, most := math.Inf(1), math.Inf(-1)
	for _, o := range outcomes {
		if _, lowest, highest, ok := o.of(m); ok {
			least, most = min(least, lowest), max(most, highest)
		}
	}
	if least > most || least <= 0 {
		return axis{0, 1}
	}
	// The shortest bar has a length too.
	low := int(math.Floor(math.Log10(least * 0.9)))
	return axis{low, max(int(math.Ceil(math.Log10(most))), low+1)}
}

func (a axis) at(v float64) float64 {
	return labelWidth + barWidth*(math.Log10(v)-float64(a.low))/float64(a.high-a.low)
}
