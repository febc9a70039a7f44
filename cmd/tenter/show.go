package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type runsShowCmd struct {
	Run_ string `arg:"" name:"run" help:"ID of the run."`
	All  bool   `help:"Show the whole timeline and whole data."`

	Generation *int `placeholder:"N" help:"Show generation N, which is over: the run has restarted since."`
}

func (c *runsShowCmd) Help() string {
	return `Answers what a run waits for now, since when, until when, and prints the commands that get it going, ready to be copied. Below stands its timeline: what its code has
asked for, when, how long it took, and what came of it.

  tenter runs show order-42

A run that has restarted shows its present generation; --generation 0 shows the first, until its journal is deleted.

With --json it is one object: run, generation, started_by, ended_by, input, output, error, events, mail, hooks, executing, children, items (the timeline) and waits. An error is in recorded form: its text is
.error, the stack of a panic .as[].stack.`
}

func (c *runsShowCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var d *inspect.Detail
	if c.Generation == nil {
		d, err = inspect.Load(a.ctx, cl, c.Run_)
	} else {
		d, err = inspect.LoadGeneration(a.ctx, cl, c.Run_, *c.Generation)
	}
	if err != nil {
		return a.suggest(cl, c.Run_, err)
	}
	if a.cli.JSON {
		return a.out.json(d)
	}
	t, err := a.target()
	if err != nil {
		return err
	}
	v := &runView{screen: a.out, target: t, detail: d, now: time.Now(), all: c.All}
	v.waits, v.left = d.Waits, nil
	if !c.All {
		v.waits, v.left = inspect.Abridge(d.Waits, shownWaits)
	}
	v.schemas = payloadSchemas(a.ctx, cl)
	v.loadChildren(a.ctx, cl)
	v.forks = v.newest(a.ctx, cl, inspect.RunFilter{ForkedFrom: d.Run.ID}, "--forked-from")
	v.awaiting = v.newest(a.ctx, cl, inspect.RunFilter{Awaits: d.Run.ID}, "--awaiting")
	v.print()
	return nil
}

// suggest adds to a run that was not found those whose IDs begin alike.
func (a *app) suggest(cl inspect.Client, runID string, err error) error {
	if !errors.Is(err, workflow.ErrRunNotFound) {
		return err
	}
	alike, e := cl.Runs(a.ctx, inspect.RunFilter{Prefix: runID, Limit: 4})
	if e != nil || len(alike) == 0 {
		return err
	}
	var ids []string
	for _, r := range alike {
		ids = append(ids, r.ID)
	}
	return fmt.Errorf("%w; there are %s", err, strings.Join(ids, ", "))
}

// payloadSchemas are the JSON Schemas of hook types, where they are known.
func payloadSchemas(ctx context.Context, cl inspect.Client) map[string]json.RawMessage {
	schemas := map[string]json.RawMessage{}
	if cat, err := cl.Catalog(ctx); err == nil { // it is an extra
		for _, h := range cat.HookTypes {
			schemas[h.Name] = h.Payload
		}
	}
	return schemas
}

// runView prints a run for people.
type runView struct {
	*screen
	target   target
	detail   *inspect.Detail
	waits    []inspect.Wait          // of the detail, those that are shown
	left     map[inspect.WaitFor]int // how many more there are
	schemas  map[string]json.RawMessage
	children map[string]string // what open children wait for, by their run IDs
	forks    []string          // IDs of the newest
	awaiting []string          // IDs of the newest that await it
	now      time.Time
	all      bool
}

// loadChildren loads what the children wait for, and theirs: what holds a run up may be far below.
func (v *runView) loadChildren(ctx context.Context, cl inspect.Client) {
	const depth, most = 5, 3
	v.children = map[string]string{}
	for _, child := range v.detail.Children[:min(most, len(v.detail.Children))] {
		var told []string
		for id, n := child.ID, 0; id != "" && n < depth; n++ {
			d, err := inspect.Load(ctx, cl, id)
			if err != nil {
				break // it is an extra
			}
			told = append(told, "run "+line(id)+" "+clean(d.Explain(v.now)))
			id = ""
			if len(d.Children) > 0 {
				id = d.Children[0].ID
			}
		}
		v.children[child.ID] = strings.Join(told, "; ")
	}
}

func (v *runView) print() {
	d, r := v.detail, v.detail.Run
	t := table{head: []string{"", ""}}
	t.add(text("run"), text(r.ID).in(bold))
	name := r.Workflow
	if r.Version > 0 { // a worker has begun it, or it was started with one
		name += fmt.Sprintf(" version %d", r.Version)
	}
	t.add(text("workflow"), text(name))
	t.add(text("status"), text(string(r.Status)).in(statusStyle(r.Status)))
	if p := r.Paused; p != nil {
		t.add(text("paused"), text(stamp(p.At)+", "+ago(p.At, v.now)+byText(p.By)))
	}
	if r.ParentID != "" {
		t.add(text("parent"), text(r.ParentID))
	}
	if f := r.ForkedFrom; f != nil {
		t.add(text("forked from"), text(forkedFrom(f)))
	}
	if len(v.forks) > 0 {
		t.add(text("forks"), text(strings.Join(v.forks, ", ")))
	}
	if len(v.awaiting) > 0 {
		t.add(text("awaited by"), text(strings.Join(v.awaiting, ", ")))
	}
	t.add(text("created"), text(stamp(r.CreatedAt)+", "+ago(r.CreatedAt, v.now)+byText(d.StartedBy)))
	if r.Generation > 0 {
		t.add(text("generation"), text(v.generation()))
	}
	over := d.Generation < r.Generation
	progress := r.UpdatedAt
	if n := len(d.Events); over && n > 0 {
		progress = d.Events[n-1].At
	}
	t.add(text("progress"), text(fmt.Sprintf("%s, %s; %s", stamp(progress), ago(progress, v.now), plural(len(d.Events), "event"))))
	t.print(v.screen, "")
	if over {
		v.printData("INPUT", d.Input)
		v.printTimeline()
		v.printMail()
		return
	}

	s := clean(d.Explain(v.now))
	v.printf("\n%s\n", wrap("It "+s+".", cmp.Or(v.width(), 120)))
	v.printWaits()
	v.printRemedies()
	v.printData("INPUT", d.Input)
	v.printData("OUTPUT", d.Output)
	v.printError()
	v.printTimeline()
	v.printMail()
}

// forkedFrom says where a run was forked from.
func forkedFrom(f *workflow.ForkedFrom) string {
	if f.Step != "" {
		return fmt.Sprintf("%s at step %s, after event %d", f.RunID, f.Step, f.Position)
	}
	return fmt.Sprintf("%s after event %d", f.RunID, f.Position)
}

// newest returns the IDs of the newest runs of a list, and which flag lists all of them.
func (v *runView) newest(ctx context.Context, cl inspect.Client, f inspect.RunFilter, flag string) (ids []string) {
	const most = 5
	f.Limit = most + 1
	runs, err := cl.Runs(ctx, f)
	if err != nil {
		return nil // it is an extra
	}
	for i, r := range runs {
		if i == most {
			return append(ids, "… ("+v.target.command("runs", "list", flag, v.detail.Run.ID)+" lists them)")
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// generation says which generation is shown, and how to see others.
func (v *runView) generation() string {
	r, shown := v.detail.Run, v.detail.Generation
	if shown < r.Generation {
		return fmt.Sprintf("%d, which is over: the present one is %d", shown, r.Generation)
	}
	s := fmt.Sprintf("%d: it has restarted %s", shown, plural(r.Generation, "time"))
	return s + "; " + v.target.command("runs", "show", r.ID, "--generation", strconv.Itoa(shown-1)) + " shows the one before"
}

func (v *runView) printWaits() {
	if len(v.detail.Waits) == 0 {
		return
	}
	v.heading("WAITS FOR")
	width := cmp.Or(v.width(), 120) - 4
	for i, w := range v.waits {
		v.printf("  %s\n", indent(wrap(line(w.What), width), "    ")[4:])
		var times []string
		if !w.Since.IsZero() {
			times = append(times, "since "+stamp(w.Since)+", for "+inspect.Duration(v.now.Sub(w.Since)))
		}
		if !w.Until.IsZero() {
			times = append(times, "until "+stamp(w.Until)+", "+due(w.Until, v.now))
		}
		if len(times) > 0 {
			v.printf("%s\n", v.in(dim, indent(wrap(strings.Join(times, "; "), width), "    ")))
		}
		if w.Error != "" {
			v.printf("%s\n", v.in(red, indent(wrap(clean(w.Error), width), "    ")))
		}
		if told := v.children[w.RunID]; w.For == inspect.ForChild && told != "" {
			v.printf("%s\n", indent(wrap(told, width), "    "))
		}
		if n := v.left[w.For]; n > 0 && (i == len(v.waits)-1 || v.waits[i+1].For != w.For) {
			v.printf("  %s\n", v.in(dim, "… and "+number(int64(n))+" more: "+v.whereMore(w.For)))
		}
	}
}

// whereMore says what lists the waits that are not shown.
func (v *runView) whereMore(kind inspect.WaitFor) string {
	switch kind {
	case inspect.ForPayload:
		return v.target.command("hooks", "list", "--run", v.detail.Run.ID, "-n", "0")
	case inspect.ForChild:
		return v.target.command("runs", "list", "--parent", v.detail.Run.ID, "-n", "0")
	default:
		return "--all shows them"
	}
}

// remedy is a command that changes what a run waits for.
type remedy struct{ command, what string }

func (v *runView) printRemedies() {
	advice, remedies := v.remedies()
	if len(advice)+len(remedies) == 0 {
		return
	}
	v.heading("HOW TO GET IT GOING")
	for _, a := range advice {
		v.printf("%s\n", indent(wrap(clean(a)+".", cmp.Or(v.width(), 120)-2), "  "))
	}
	for _, r := range remedies { // commands are to be copied, and never cut
		v.printf("  %s\n      %s\n", v.in(bold, clean(r.command)), clean(r.what))
	}
}

func (v *runView) remedies() (advice []string, remedies []remedy) {
	r := v.detail.Run
	add := func(what string, args ...string) {
		remedies = append(remedies, remedy{v.target.command(args...), what})
	}
	hooks := map[string]workflow.HookInfo{}
	for _, h := range v.detail.Hooks {
		hooks[h.ID] = h
	}
	if r.Status == workflow.StatusFailed {
		add("lets it go on from its journal, once the cause is fixed", "runs", "retry", r.ID)
		if in := string(v.detail.Input); len(in) < 200 {
			add("starts another one with the same input", "runs", "start", r.Workflow, in)
		}
		return nil, remedies
	}
	if r.Status.Ended() {
		return nil, nil
	}
	switch {
	case r.Paused != nil && r.Paused.Workflow:
		add("lets all runs of its workflow go on", "workflows", "resume", r.Workflow)
	case r.Paused != nil:
		add("lets it go on", "runs", "resume", r.ID)
	}
	slept, retried := false, false
	for _, w := range v.waits {
		if w.Advice != "" {
			advice = append(advice, strings.ToUpper(w.Advice[:1])+w.Advice[1:])
		}
		if w.Retry {
			add("lets the code that is there try again", "runs", "retry", r.ID)
		}
		switch w.For {
		case inspect.ForPayload:
			if hooks[w.HookID].Webhook {
				advice = append(advice, "Hook "+w.Name+" is a webhook: it takes HTTP requests at its URL")
				continue
			}
			if inspect.IsMasked(w.Name) {
				advice = append(advice, "Hook "+w.HookID+" is resumed with a token that may write: this one only looks, so the hook's own token is masked")
				continue
			}
			if hooks[w.HookID].Call {
				add("sends it a request, as JSON, and waits for the answer", "hooks", "call", w.Name, example(v.schemas[w.HookType]))
				continue
			}
			add("sends it a payload, as JSON", "hooks", "resume", w.Name, example(v.schemas[w.HookType]))
		case inspect.ForSleep:
			if !slept {
				add("ends its sleeps now", "runs", "wake", r.ID)
			}
			slept = true
		case inspect.ForChild:
			add("shows what the child waits for", "runs", "show", w.RunID)
		case inspect.ForRun:
			add("shows what the run waits for that it awaits", "runs", "show", w.RunID)
		case inspect.ForRetry:
			step := inspect.Title(inspect.KindStep, w.Name)
			advice = append(advice, "S"+step[1:]+" is tried again by itself; fix what its error says")
			if !retried && r.Status != workflow.StatusBlocked && r.Paused == nil {
				add("makes the next attempt now", "runs", "retry", r.ID)
			}
			retried = true
		case inspect.ForWorker, inspect.ForStep, inspect.ForDeadline:
		}
	}
	add("asks it to cancel: its cleanup is executed", "runs", "cancel", r.ID)
	add("ends it now, without asking its code", "runs", "terminate", r.ID)
	return advice, remedies
}

func (v *runView) printData(title string, data json.RawMessage) {
	if len(data) == 0 || string(data) == "null" {
		return
	}
	v.heading(title)
	text := pretty(data)
	if !v.all {
		text = cutLines(text, 12, cmp.Or(v.width(), 120)-2)
	}
	v.printf("%s\n", indent(text, "  "))
}

func (v *runView) printError() {
	if len(v.detail.Error) == 0 {
		return
	}
	v.heading("ERROR")
	v.printf("%s\n", indent(wrap(clean(inspect.Failure(v.detail.Error))+byText(v.detail.EndedBy), cmp.Or(v.width(), 120)-2), "  "))
	for _, stack := range inspect.Stacks(v.detail.Error) {
		text := clean(stack)
		if !v.all {
			text = cutLines(text, 12, cmp.Or(v.width(), 120)-4)
		}
		v.printf("%s\n", v.in(dim, indent(strings.TrimRight(text, "\n"), "    ")))
	}
}

const (
	shownItems = 40
	shownWaits = 10 // of each kind
)

func (v *runView) printTimeline() {
	items := v.detail.Items
	if len(items) == 0 {
		return
	}
	v.heading("TIMELINE")
	if n := len(items) - shownItems; n > 0 && !v.all {
		v.printf("  %s\n", v.in(dim, plural(n, "earlier item")+": --all shows them"))
		items = items[n:]
	}
	t := table{head: []string{"AT", "", "STATE", "TOOK", ""}}
	for i := range items {
		v.addItem(&t, &items[i])
	}
	t.print(v.screen, "  ")
}

func (v *runView) addItem(t *table, it *inspect.Item) {
	at := func(tm time.Time) string { return "+" + inspect.Duration(tm.Sub(v.detail.Run.CreatedAt)) }
	took := ""
	switch {
	case it.Instant():
	case it.End.IsZero():
		took = inspect.Duration(v.now.Sub(it.Begin)) + " so far"
	default:
		took = inspect.Duration(it.End.Sub(it.Begin))
	}
	note := text(string(it.Result))
	switch {
	case it.Kind == inspect.KindControl:
		note = text(strings.TrimSpace(byText(it.By)))
	case it.Error != "":
		note = text(it.Error).in(red)
	case it.Kind == inspect.KindChild:
		note = text("run " + it.RunID)
	case !it.Until.IsZero() && it.End.IsZero():
		note = text("until " + stamp(it.Until))
	}
	t.add(text(at(it.Begin)), text(it.Title()), text(string(it.State)).in(stateStyle(it.State)), text(took), note)
	if len(it.Attempts) > 1 || it.End.IsZero() {
		for _, try := range v.last(len(it.Attempts)) {
			a := it.Attempts[try]
			state, took := cell{"executing", cyan}, inspect.Duration(v.now.Sub(a.Begin))+" so far"
			switch {
			case a.Error != "":
				state, took = cell{"failed", red}, inspect.Duration(a.End.Sub(a.Begin))
			case !a.End.IsZero():
				state, took = cell{"done", green}, inspect.Duration(a.End.Sub(a.Begin))
			}
			t.add(text(at(a.Begin)), cell{text: fmt.Sprintf("  attempt %d", a.Number)}, state, text(took), text(a.Error))
		}
	}
	for _, i := range v.last(len(it.Payloads)) {
		p := it.Payloads[i]
		state := cell{text: ""}
		if p.Position == 0 {
			state = cell{"not taken in", yellow}
		}
		t.add(text(at(p.At)), cell{text: "  payload"}, state, cell{}, cell{text: strings.TrimSpace(dataText("", p.Data, p.Request) + byText(p.By))})
	}
}

// last returns the indexes of the last few of n things, or of all.
func (v *runView) last(n int) []int {
	first := 0
	if !v.all {
		first = max(0, n-5)
	}
	var list []int
	for i := first; i < n; i++ {
		list = append(list, i)
	}
	return list
}

func stateStyle(s inspect.State) style {
	switch s {
	case inspect.StateOpen:
		return cyan
	case inspect.StateBackoff:
		return yellow
	case inspect.StateDone:
		return green
	case inspect.StateFailed:
		return red
	default:
		return dim
	}
}

func (v *runView) printMail() {
	if len(v.detail.Mail) == 0 {
		return
	}
	if v.detail.Run.Status.Ended() || v.detail.Generation < v.detail.Run.Generation {
		v.heading("UNREAD: ACCEPTED, AND NEVER TAKEN")
	} else {
		v.heading("MAILBOX: TO BE TAKEN IN")
	}
	t := table{head: []string{"", "", ""}}
	for _, i := range v.last(len(v.detail.Mail)) {
		m := v.detail.Mail[i]
		what, _ := eventText(&inspect.Event{Kind: m.Kind, Ref: m.Ref})
		t.add(text(stamp(m.At)), text(what+byText(m.By)), cell{text: dataText(m.Kind, m.Data, m.Request)})
	}
	t.print(v.screen, "  ")
}

func indent(s, by string) string { return by + strings.ReplaceAll(s, "\n", "\n"+by) }

// wrap breaks clean text at spaces into lines of at most n columns.
func wrap(s string, n int) string {
	var b strings.Builder
	for i, word := range strings.Fields(s) {
		used := columns(b.String()[strings.LastIndexByte(b.String(), '\n')+1:])
		switch {
		case i == 0:
		case used+1+columns(word) > n:
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}

// cutLines keeps the first lines of clean text, each at most so wide.
func cutLines(s string, lines, width int) string {
	all := strings.Split(s, "\n")
	rest := len(all) - lines
	if rest > 0 {
		all = all[:lines]
	}
	for i, l := range all {
		all[i] = cut(l, width)
	}
	if rest > 0 {
		all = append(all, fmt.Sprintf("… %s more: --all shows them", plural(rest, "line")))
	}
	return strings.Join(all, "\n")
}
