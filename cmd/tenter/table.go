package main

import (
	"slices"
	"strings"
)

// table is columns of clean text. On a terminal it is made to fit.
type table struct {
	head []string
	keep []int // columns that are never cut, because they are to be copied
	rows [][]cell
}

type cell struct {
	text  string
	style style
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// text is a cell of text that came from elsewhere.
func text(s string) cell { return cell{text: line(s)} }

func (c cell) in(s style) cell {
	c.style = s
	return c
}

const gap = "  "

// print prints the table, with what stands before each line.
func (t *table) print(s *screen, indent string) {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = columns(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], columns(c.text))
		}
	}
	if w := s.width(); w > 0 {
		t.shrink(widths, w-len(indent)-len(gap)*(len(widths)-1))
	}
	var b strings.Builder
	writeLine := func(row []cell) {
		b.WriteString(indent)
		for i, c := range row {
			text := cut(c.text, widths[i])
			b.WriteString(s.in(c.style, text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(text)) + gap)
			}
		}
		b.WriteString("\n")
	}
	if strings.Join(t.head, "") != "" {
		var head []cell
		for _, h := range t.head {
			head = append(head, cell{h, dim})
		}
		writeLine(head)
	}
	for _, row := range t.rows {
		writeLine(row)
	}
	// Cells at the end of a row may be empty.
	for l := range strings.Lines(b.String()) {
		s.printf("%s\n", strings.TrimRight(l, " \n"))
	}
}

// shrink makes widths fit into a total: the last column gives way down to 12, then the
// widest one down to 6. What is kept does not give way.
func (t *table) shrink(widths []int, total int) {
	over := -total
	for _, w := range widths {
		over += w
	}
	last := len(widths) - 1
	if d := min(over, widths[last]-12); d > 0 && !slices.Contains(t.keep, last) {
		widths[last] -= d
		over -= d
	}
	for ; over > 0; over-- {
		widest := -1
		for i, w := range widths {
			if w > 6 && !slices.Contains(t.keep, i) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}
