package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/saturate"
)

// progress is a bar on standard error, if that is a terminal.
type progress struct {
	s     *screen // nil: nobody looks
	begun time.Time

	mu    sync.Mutex
	drawn time.Time
}

func (a *app) progress() *progress {
	p := &progress{begun: time.Now()}
	if s := newScreen(a.stderr, a.cli.Color, a.env); s.fd >= 0 {
		p.s = s
	}
	return p
}

// show draws the bar, not more often than people can see.
func (p *progress) show(what string, done, of int64) {
	if p.s == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.drawn) < 100*time.Millisecond && done < of {
		return
	}
	p.drawn = now
	if of <= 0 {
		p.s.printf("\r\x1b[K%s", cut(what, p.s.width()-1))
		return
	}
	done = min(done, of)
	left := ""
	if spent := now.Sub(p.begun); done > 0 && done < of && spent > time.Second {
		left = inspect.Duration(saturate.Product(spent, float64(of-done)/float64(done))) + " left"
	}
	const bar = 24
	full := int(done * bar / of)
	text := fmt.Sprintf("%s%s %3d%%  %s  %s", strings.Repeat("█", full), strings.Repeat("░", bar-full), done*100/of, what, left)
	p.s.printf("\r\x1b[K%s", cut(text, p.s.width()-1))
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.s != nil {
		p.s.printf("\r\x1b[K")
	}
}
