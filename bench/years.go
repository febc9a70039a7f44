package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenter-dev/tenter/bench/internal/plot"
	"github.com/tenter-dev/tenter/bench/internal/report"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

const yearsArg = "years"

// Of the bot that lives for years.
const (
	yearsToken    = "years"
	yearsSenders  = 8
	yearsPer      = 1000 // messages in each generation
	yearsLives    = 10   // processes that it has, one after the other; each is killed at a tenth of its life
	yearsRestarts = 30   // of the process at the end of each life, to time the first message
)

// yearsSettings are of the server: by default autovacuum looks once a minute, and a database has its
// size only after some of these.
var yearsSettings = []string{"autovacuum_naptime=10s"}

// yearsMain has one bot get many messages and restart in place, while its process is killed
// and restarted, and shows what a message costs and what is used as they become more.
func yearsMain(ctx context.Context, args []string) (err error) {
	e := &env{}
	flags := flag.NewFlagSet("bench years", flag.ExitOnError)
	messages := flags.Int("messages", 1_000_000, "how many messages the bot gets on each store")
	rate := flags.Int("rate", 1000, "how many messages are sent a second")
	stores := flags.String("stores", "sqlite,postgres", "which stores")
	doc := flags.String("doc", "../docs/performance.md", "`file` whose table is replaced; empty: none")
	file := flags.String("plot", "../docs/img/years.svg", "`file` for the plot; empty: none")
	flags.StringVar(&e.dir, "dir", os.TempDir(), "`directory` for the databases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text := report.Machine(ctx, "make years", e.dir)
	var all []*years
	err = onStores(ctx, e, *stores, func(title string) error {
		y := &years{store: title, e: e, rate: *rate, messages: *messages / 100 * 100}
		all = append(all, y)
		return y.live(ctx)
	})
	if err != nil {
		return err
	}
	for _, y := range all {
		text += y.markdown()
	}
	fmt.Print("\n" + text)
	if err := plot.Write(*file, "What a bot costs as its messages become more", yearsCharts(all)); err != nil {
		return err
	}
	if *doc == "" {
		return nil
	}
	return report.ReplaceSection(*doc, "years", text)
}

// onStores measures on each of some stores, separated by commas, one after the other.
func onStores(ctx context.Context, e *env, stores string, measure func(title string) error) (err error) {
	for name := range strings.SplitSeq(stores, ",") {
		e.server = nil
		title := "SQLite"
		switch name {
		case "sqlite":
		case "postgres":
			title = "PostgreSQL"
			if e.server, err = startServer(ctx, e.dir, yearsSettings); err != nil {
				return err
			}
		default:
			return fmt.Errorf("there is no store %q", name)
		}
		err := measure(title)
		if e.server != nil {
			err = errors.Join(err, e.server.close(context.WithoutCancel(ctx)))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", title, err)
		}
	}
	return nil
}

// tally is the input of a generation of the bot.
type tally struct {
	Heard int
	Last  [yearsSenders]int // number of the last message of each sender
	Wrong int               // messages that came twice, late or not at all
}

// yearsMessage says which message of which sender it is.
type yearsMessage struct{ Sender, Number int }

var yearsBot = workflow.Declare[tally, tally]("years")

// hearForYears counts messages, and returns after one of number 0.
func hearForYears(ctx workflow.Context, t tally) (tally, error) {
	inbox, err := workflow.NewHook[yearsMessage](ctx, workflow.Token(yearsToken))
	if err != nil {
		return t, err
	}
	for range yearsPer {
		m, err := inbox.Wait(ctx)
		if err != nil || m.Number == 0 {
			return t, err
		}
		if m.Number != t.Last[m.Sender]+1 {
			t.Wrong++
		}
		t.Last[m.Sender] = m.Number
		t.Heard++
		heard.set(t.Heard)
	}
	return yearsBot.Restart(ctx, t)
}

// heard is how many messages the bot has got. Workflow code must not do such a thing in
// earnest; here it tells the time at which the code has a message.
var heard = &mark{moved: make(chan struct{})}

// mark is a number that goes up.
type mark struct {
	mu    sync.Mutex
	at    int
	moved chan struct{} // closed when it moves
}

func (m *mark) set(at int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at > m.at { // a replay goes through all of it again
		m.at = at
		close(m.moved)
		m.moved = make(chan struct{})
	}
}

func (m *mark) wait(ctx context.Context, until int) error {
	for {
		m.mu.Lock()
		at, moved := m.at, m.moved
		m.mu.Unlock()
		if at >= until {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Got returns how many messages the bot has got.
func (c *child) Got(_ none, n *int) error {
	heard.mu.Lock()
	defer heard.mu.Unlock()
	*n = heard.at
	return nil
}

// Heard returns when the bot has got so many messages.
func (c *child) Heard(n int, _ *none) error { return heard.wait(c.ctx, n) }

// years is a bot on one kind of database, and what was seen of it.
type years struct {
	store    string
	e        *env
	url      string
	client   *world   // sends, and executes nothing
	process  *process // executes the bot
	rate     int
	messages int

	mu   sync.Mutex
	next [yearsSenders]int // the number of each sender's last message
	sent int

	samples []yearsSample
	first   []time.Duration // from the first message after a restart until the code has it
}

// yearsSample is what is used after so many messages.
type yearsSample struct {
	messages int
	send     float64 // ms, p50, of those since the last sample
	cpu      float64 // µs a message since the last sample, of the process that executes
	memory   float64 // MB, of that process
	database float64 // MB
}

// live sends messages at a rate while the bot gets them.
func (y *years) live(ctx context.Context) error {
	return y.withBot(ctx, func() error {
		for life := range yearsLives {
			if err := y.oneLife(ctx); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%s: life %d, %s messages, load average %s\n", y.store, life+1, report.Number(float64(y.sent)), report.LoadAverage())
		}
		return nil
	})
}

// withBot has a process execute a bot, and checks in the end that the bot has got all that was sent.
func (y *years) withBot(ctx context.Context, measure func() error) (err error) {
	url, drop, err := y.e.create(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	y.url = url
	if y.client, err = openClient(ctx, url); err != nil {
		return err
	}
	defer func() { err = joinClose(err, y.client) }()
	bot, err := yearsBot.Start(ctx, y.client.eng, tally{}, workflow.RunID("bot"))
	if err != nil {
		return err
	}
	if y.process, err = startProcess(ctx, url, 0); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, y.process.close()) }()
	if err := y.opened(ctx); err != nil {
		return err
	}
	if err := measure(); err != nil {
		return err
	}
	if _, err := workflow.Resume(ctx, y.client.eng, yearsToken, yearsMessage{}); err != nil {
		return err
	}
	t, err := bot.Result(ctx)
	if err == nil && (t.Heard != y.sent || t.Wrong > 0) {
		err = fmt.Errorf("the bot got %d messages of %d, %d of them wrong", t.Heard, y.sent, t.Wrong)
	}
	return err
}

// opened returns when the bot has its hook.
func (y *years) opened(ctx context.Context) error {
	for {
		hooks, err := y.client.eng.Hooks(ctx, inspect.HookFilter{})
		if err != nil || len(hooks) > 0 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// oneLife sends a tenth of the messages. The process is killed in the midst of the first
// tenth of these, and restarted in the end.
func (y *years) oneLife(ctx context.Context) error {
	n := y.messages / yearsLives
	for block := range 10 {
		if err := y.block(ctx, n/10, block == 0); err != nil {
			return err
		}
	}
	for range yearsRestarts {
		if err := y.restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

// block sends n messages, waits until the bot has got them, and samples what was used,
// unless the process was killed.
func (y *years) block(ctx context.Context, n int, kill bool) error {
	var before Spent
	if err := y.process.call("Spent", none{}, &before); err != nil {
		return err
	}
	took := make([][]time.Duration, yearsSenders)
	began := time.Now()
	var all errgroup.Group
	for s := range yearsSenders {
		all.Go(func() error {
			for i := s; i < n; i += yearsSenders {
				time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(y.rate))))
				now := time.Now()
				if err := y.send(ctx, s); err != nil {
					return err
				}
				took[s] = append(took[s], time.Since(now))
			}
			return nil
		})
	}
	if kill {
		all.Go(func() error {
			time.Sleep(time.Duration(n) * time.Second / time.Duration(2*y.rate))
			return y.kill(ctx)
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if err := y.process.call("Heard", y.sent, &none{}); err != nil || kill {
		return err
	}
	sample := yearsSample{messages: y.sent, send: milliseconds(percentile(slices.Concat(took...), 50))}
	var after Spent
	if err := y.process.call("Spent", none{}, &after); err != nil {
		return err
	}
	sample.cpu = float64(after.since(before).CPU.Microseconds()) / float64(n)
	var err error
	if sample.database, err = databaseMB(ctx, y.e, y.client.db); err != nil {
		return err
	}
	y.samples = append(y.samples, sample)
	return y.process.call("Memory", none{}, &y.samples[len(y.samples)-1].memory)
}

// send sends the next message of a sender.
func (y *years) send(ctx context.Context, sender int) error {
	y.mu.Lock()
	y.sent++
	y.next[sender]++
	m := yearsMessage{sender, y.next[sender]}
	y.mu.Unlock()
	_, err := workflow.Resume(ctx, y.client.eng, yearsToken, m)
	return err
}

// kill kills the process, and starts another one.
func (y *years) kill(ctx context.Context) (err error) {
	if err := y.process.cmd.Process.Kill(); err != nil {
		return err
	}
	y.process.close() //nolint:errcheck // it was killed, which is an error
	y.process, err = startProcess(ctx, y.url, 0)
	return err
}

// restart restarts the process as a deploy does, and times the first message.
func (y *years) restart(ctx context.Context) (err error) {
	if err := y.process.close(); err != nil {
		return err
	}
	if y.process, err = startProcess(ctx, y.url, 0); err != nil {
		return err
	}
	began := time.Now()
	if err := y.send(ctx, 0); err != nil {
		return err
	}
	if err := y.process.call("Heard", y.sent, &none{}); err != nil {
		return err
	}
	y.first = append(y.first, time.Since(began))
	return nil
}

// yearsMeasures are what a sample has.
var yearsMeasures = []struct {
	name string
	of   func(s yearsSample) float64
}{
	{"a message: until it is acknowledged, p50, ms", func(s yearsSample) float64 { return s.send }},
	{"a message: CPU of the process that executes, µs", func(s yearsSample) float64 { return s.cpu }},
	{"memory (RSS), MB", func(s yearsSample) float64 { return s.memory }},
	{"database, MB", func(s yearsSample) float64 { return s.database }},
}

// markdown is a table of the highest of each measure.
func (y *years) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n**%s**: %s messages, %s a second, all of them got once and in order; a restart each %s; %d kills. First message after a restart of the process: p50 %s ms, p99 %s ms.\n\n",
		y.store, report.Number(float64(y.sent)), report.Number(float64(y.rate)), report.Number(yearsPer), yearsLives,
		report.Number(milliseconds(percentile(y.first, 50))), report.Number(milliseconds(percentile(y.first, 99))))
	shown := []int{1, 2, 5, 10}
	b.WriteString("| highest in the tenth of the messages that ends at |")
	for _, tenth := range shown {
		fmt.Fprintf(&b, " %s |", report.Number(float64(y.messages/10*tenth)))
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(shown)) + "\n")
	per := len(y.samples) / yearsLives
	for _, m := range yearsMeasures {
		fmt.Fprintf(&b, "| %s |", m.name)
		for _, tenth := range shown {
			highest := 0.0
			for _, s := range y.samples[(tenth-1)*per : tenth*per] {
				highest = max(highest, m.of(s))
			}
			fmt.Fprintf(&b, " %s |", report.Number(highest))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func yearsCharts(all []*years) (charts []plot.Chart) {
	for _, m := range yearsMeasures {
		c := plot.Chart{Title: m.name, X: "messages"}
		for _, y := range all {
			l := plot.Line{Name: y.store}
			for _, s := range y.samples {
				l.Points = append(l.Points, plot.Point{X: float64(s.messages), Y: m.of(s)})
			}
			c.Lines = append(c.Lines, l)
		}
		charts = append(charts, c)
	}
	return charts
}
