package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

type doctorCmd struct {
	Thorough bool `help:"Check everything: the integrity of the whole database, and the consistency of its tables. Takes long in a large database."`
}

func (c *doctorCmd) Help() string {
	return `Looks for what may need somebody: damage, workers that are gone, runs that nobody takes, blocked runs with the reason, hooks whose run is no more, links
that nobody can verify, requests that were refused, and how large it all is. Each finding comes with advice. It changes nothing and can be used beside running workers.

The exit code is 0 if all is well and 6 if there is something to fix, so it can watch a database from cron.

With --json it is one object: database, schema, size, tables, workers, findings (each with level: ok, note, warning or problem; code; what; advice; runs).`
}

// finding is something that doctor has seen.
type finding struct {
	Level  string   `json:"level"` // ok, note, warning, problem
	Code   string   `json:"code"`  // what was found, for programs
	What   string   `json:"what"`
	Advice string   `json:"advice,omitempty"`
	Runs   []string `json:"runs,omitempty"` // a few of those that it is about

	details []string
}

func (c *doctorCmd) Run(a *app) error {
	st, err := a.database(true)
	if err != nil {
		return err
	}
	e, ok := st.(store.Examiner)
	if !ok {
		return fmt.Errorf("%s can't be examined", st)
	}
	bar := a.progress()
	x, err := e.Examine(a.ctx, c.Thorough, func(what string, done, of int) { bar.show("looking at "+what, int64(done), int64(of)) })
	bar.clear()
	if err != nil {
		return err
	}
	d := &doctor{x: &x, now: st.Now(), thorough: c.Thorough}
	if d.keys, err = st.LinkKeys(a.ctx); err != nil {
		return err
	}
	if d.refused, err = st.RefusedRequests(a.ctx, store.RefusedFilter{Limit: inspect.MaxLimit}); err != nil {
		return err
	}
	d.examine()
	if a.cli.JSON {
		err = a.out.json(d.report(st.String()))
	} else {
		d.print(a, st.String())
	}
	if err == nil && slices.ContainsFunc(d.findings, func(f finding) bool { return f.Level == "warning" || f.Level == "problem" }) {
		err = errFindings
	}
	return err
}

// doctor makes findings of what a store has seen.
type doctor struct {
	x        *store.Examination
	keys     map[string]int // how many open links each key has signed
	refused  []store.RefusedRequest
	now      time.Time
	thorough bool
	findings []finding
}

func (d *doctor) add(f finding) { d.findings = append(d.findings, f) }

func (d *doctor) examine() {
	d.schema()
	d.damage()
	d.workers()
	d.stuck()
	d.unclaimed()
	d.blocked()
	d.quarantined()
	d.orphans()
	d.oldest()
	d.links()
	d.refusals()
	d.dead()
}

func (d *doctor) schema() {
	f := finding{Level: "ok", Code: "schema", What: fmt.Sprintf("the schema is at version %d, which this tenter knows", d.x.Schema)}
	if d.x.Schema != d.x.Known { // and serves it, or it could not have been opened
		f = finding{
			Level: "note", Code: "schema_version", What: fmt.Sprintf("the schema is at version %d, which serves this tenter, which knows %d", d.x.Schema, d.x.Known),
			Advice: "use the version of tenter that the application has, to see all that there is",
		}
	}
	d.add(f)
}

func (d *doctor) damage() {
	if len(d.x.Damage) == 0 {
		what := "no damage was found by a quick check; --thorough looks at everything"
		if d.thorough {
			what = "no damage was found by a thorough check"
		}
		d.add(finding{Level: "ok", Code: "no_damage", What: what})
	}
	for _, damage := range d.x.Damage {
		d.add(finding{
			Level: "problem", Code: "damage", What: damage,
			Advice: "stop the workers, keep a copy of the database as it is, restore a backup, and report it if it comes again",
		})
	}
}

func (d *doctor) live() (live []store.WorkerInfo) {
	for _, w := range d.x.Workers {
		if w.Live {
			live = append(live, w)
		}
	}
	return live
}

func (d *doctor) workers() {
	live := d.live()
	if len(live) == 0 {
		d.add(finding{Level: "warning", Code: "no_worker", What: "no worker is live: nobody executes runs", Advice: "start a program whose engine has the workflows, with Run at work"})
		return
	}
	f := finding{Level: "ok", Code: "workers", What: plural(len(live), "worker") + " live"}
	builds := map[string]bool{}
	for _, w := range live {
		builds[w.Build] = true
		var names []string
		for _, def := range w.Definitions {
			names = append(names, fmt.Sprintf("%s version %d", def.Workflow, def.Version))
		}
		f.details = append(f.details, fmt.Sprintf("%s, seen %s: %s", w.Name, ago(w.RenewedAt, d.now), strings.Join(names, ", ")))
	}
	if len(builds) > 1 {
		f.What += fmt.Sprintf(", of %d builds: a deploy is under way, or one has been forgotten", len(builds))
	}
	d.add(f)
}

// list summarizes runs, and names a few of them.
func (d *doctor) list(f finding, found store.FoundRuns, note func(r *store.Run) string) {
	if found.Count == 0 {
		return
	}
	for i := range found.First {
		r := &found.First[i]
		f.Runs = append(f.Runs, r.ID)
		f.details = append(f.details, fmt.Sprintf("%s (%s) %s", r.ID, r.Workflow, note(r)))
	}
	if more := found.Count - len(found.First); more > 0 {
		f.details = append(f.details, fmt.Sprintf("… and %s more", number(int64(more))))
	}
	d.add(f)
}

func (d *doctor) stuck() {
	d.list(finding{
		Level: "problem", Code: "stuck", What: plural(d.x.Stuck.Count, "run") + " with work left by a worker whose lease has lapsed, and nobody takes over",
		Advice: "start a worker that has their workflows; it takes them over. If one is up, look for errors of the store in its log",
	}, d.x.Stuck, func(r *store.Run) string {
		return "of worker " + r.Worker + ", " + ago(r.UpdatedAt, d.now) + d.missing(r)
	})
}

func (d *doctor) unclaimed() {
	d.list(finding{
		Level: "warning", Code: "unclaimed", What: plural(d.x.Unclaimed.Count, "run") + " due for longer than a minute, and nobody takes them",
		Advice: "see that a worker is up which has their workflows and versions, and is not overloaded",
	}, d.x.Unclaimed, func(r *store.Run) string { return "no progress since " + stamp(r.UpdatedAt) + d.missing(r) })
}

// missing says that no live worker has the workflow of a run, if that is so.
func (d *doctor) missing(r *store.Run) string {
	for _, w := range d.live() {
		for _, def := range w.Definitions {
			if def.Workflow == r.Workflow && (r.Version == 0 || r.Version == def.Version) {
				return ""
			}
		}
	}
	if r.Version == 0 {
		return "; no live worker has the workflow"
	}
	return fmt.Sprintf("; no live worker has version %d of it", r.Version)
}

func (d *doctor) blocked() {
	if d.x.Blocked.Count == 0 {
		d.add(finding{Level: "ok", Code: "no_blocked", What: "no run is blocked"})
		return
	}
	var advice []string
	for i := range d.x.Blocked.First {
		if a := inspect.Advice(workflow.ReasonCode(journal.ReasonCode(d.x.Blocked.First[i].BlockedReason))); !slices.Contains(advice, a) {
			advice = append(advice, a)
		}
	}
	d.list(finding{Level: "problem", Code: "blocked", What: plural(d.x.Blocked.Count, "run") + " blocked", Advice: strings.Join(advice, ". Or: ")},
		d.x.Blocked, func(r *store.Run) string { return "since " + stamp(r.UpdatedAt) + ": " + r.BlockedReason })
}

func (d *doctor) quarantined() {
	d.list(finding{
		Level: "warning", Code: "quarantined", What: plural(d.x.Quarantined.Count, "run") + " in quarantine: their workers have died more than once",
		Advice: "look for what kills the process in the workers' logs, such as lack of memory; the engine determines by itself which step it is",
	}, d.x.Quarantined, func(r *store.Run) string { return plural(int(r.Suspicion), "take-over") + " without progress" })
}

func (d *doctor) orphans() {
	if d.x.Orphans.Count == 0 {
		return
	}
	f := finding{
		Level: "problem", Code: "orphaned_hooks", What: plural(d.x.Orphans.Count, "hook") + " open though the run has ended or is not there, which must not be",
		Advice: "their tokens are taken forever: close them by hand (set closed_at), and report it",
	}
	for _, h := range d.x.Orphans.First {
		f.Runs = append(f.Runs, h.RunID)
		f.details = append(f.details, fmt.Sprintf("%s of run %s, token %s", h.ID, h.RunID, run.QuoteToken(h.Token)))
	}
	d.add(f)
}

func (d *doctor) oldest() {
	if d.x.Waiting.Count == 0 {
		return
	}
	r := d.x.Waiting.First[0]
	d.add(finding{
		Level: "ok", Code: "waiting", What: fmt.Sprintf("%s waiting; the one without progress for longest is %s (%s), since %s, %s",
			plural(d.x.Waiting.Count, "run"), r.ID, r.Workflow, stamp(r.UpdatedAt), ago(r.UpdatedAt, d.now)),
		Runs: []string{r.ID},
	})
}

// links counts the links to answer pages that can be answered, by the keys that have signed them.
func (d *doctor) links() {
	held := map[string]bool{} // by a live worker
	for _, w := range d.live() {
		for _, key := range w.LinkKeys {
			held[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(d.keys)) {
		n := d.keys[key]
		what := "1 link to an answer page is open, signed with key " + key
		if n > 1 {
			what = number(int64(n)) + " links to answer pages are open, signed with key " + key
		}
		f := finding{Level: "ok", Code: "open_links", What: what}
		if !held[key] && len(d.live()) > 0 {
			f = finding{
				Level: "warning", Code: "link_key", What: what + ", which no live worker has",
				Advice: "add the key to Options.AnswerKeys of the workers and of the servers of answer pages: without it these links are unknown",
			}
		}
		d.add(f)
	}
}

// refusals counts the requests to webhooks that were refused and are kept, by their senders.
func (d *doctor) refusals() {
	bySender := map[string][]store.RefusedRequest{}
	for _, r := range d.refused { // the newest first
		bySender[r.Sender] = append(bySender[r.Sender], r)
	}
	for _, sender := range slices.Sorted(maps.Keys(bySender)) {
		all := bySender[sender]
		d.add(finding{
			Level: "note", Code: "refused_requests",
			What:   fmt.Sprintf("%s of sender %s refused and kept, the last one %s: %s", plural(len(all), "request"), sender, ago(all[0].At, d.now), all[0].Reason),
			Advice: "if they are genuine, fix the secret, and deliver them with tenter webhooks redeliver",
		})
	}
}

// dead looks for tables that vacuum does not keep up with.
func (d *doctor) dead() {
	for _, t := range d.x.Tables {
		if t.Dead > 50_000 && t.Dead > t.Rows/2 {
			d.add(finding{
				Level: "warning", Code: "dead_rows", What: fmt.Sprintf("table %s has %s dead rows beside %s live ones: vacuum does not keep up", t.Name, number(t.Dead), number(t.Rows)),
				Advice: "look for transactions that stay open (pg_stat_activity), and see docs/postgres.md on vacuum",
			})
		}
	}
}

// doctorReport is the form for programs.
type doctorReport struct {
	Database string         `json:"database"`
	Schema   int            `json:"schema"`
	Size     int64          `json:"size"`
	Tables   []doctorTable  `json:"tables"`
	Workers  []doctorWorker `json:"workers"`
	Findings []finding      `json:"findings"`
}

type doctorTable struct {
	Name  string `json:"name"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes,omitempty"`
}

type doctorWorker struct {
	Name       string    `json:"name"`
	Build      string    `json:"build"`
	RenewedAt  time.Time `json:"renewed_at"`
	LeaseUntil time.Time `json:"lease_until"`
	Live       bool      `json:"live"`
}

func (d *doctor) report(database string) doctorReport {
	r := doctorReport{Database: database, Schema: d.x.Schema, Size: d.x.Size, Findings: d.findings, Workers: []doctorWorker{}}
	for _, t := range d.x.Tables {
		r.Tables = append(r.Tables, doctorTable{t.Name, t.Rows, t.Bytes})
	}
	for _, w := range d.x.Workers {
		r.Workers = append(r.Workers, doctorWorker{w.Name, w.Build, w.RenewedAt, w.LeaseUntil, w.Live})
	}
	return r
}

func (d *doctor) print(a *app, database string) {
	s := a.out
	width := cmp.Or(s.width(), 120)
	s.printf("%s, %s\n\n", s.in(bold, clean(database)), size(d.x.Size))
	for _, f := range d.findings {
		mark, st := "ok", green
		switch f.Level {
		case "note":
			mark, st = "note", cyan
		case "warning":
			mark, st = "warning", yellow
		case "problem":
			mark, st = "PROBLEM", red
		}
		const margin = "         "
		s.printf("%s %s\n", s.in(st, pad(mark, 8, false)), indent(wrap(line(f.What), width-len(margin)), margin)[len(margin):])
		for _, detail := range f.details {
			s.printf("%s\n", s.in(dim, indent(wrap(line(detail), width-len(margin)-2), margin+"  ")))
		}
		if f.Advice != "" {
			s.printf("%s\n", indent(wrap("→ "+clean(strings.ToUpper(f.Advice[:1])+f.Advice[1:])+".", width-len(margin)), margin))
		}
	}
	t := table{head: []string{"TABLE", "ROWS", "SIZE"}}
	for _, table := range d.x.Tables {
		bytes := ""
		if table.Bytes > 0 {
			bytes = size(table.Bytes)
		}
		t.add(text(table.Name), text(pad(number(table.Rows), 12, true)), text(bytes))
	}
	s.printf("\n")
	t.print(s, "")
}
