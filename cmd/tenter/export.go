package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/archive"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

type exportCmd struct {
	Runs   []string `arg:"" optional:"" name:"run" help:"IDs of runs; their children come with them. Default: all runs."`
	Output string   `short:"o" placeholder:"FILE" help:"Write to this file, which must not exist; it appears when it is complete. Default: standard output."`
	Open   bool     `help:"Leave out runs that have ended, with all their children."`
	Live   bool     `help:"Export although a worker is live."`

	ForReplay bool     `help:"Write journals for workflowtest.Replay, without secrets and tokens: for a repository."`
	Redact    []string `placeholder:"FIELD" help:"With --for-replay: put others in place of the strings and numbers of the fields with this name, such as email or customer.email; * is all strings."`
	Draws     int      `default:"32" help:"With --for-replay: how many IDs and sources of random numbers to write for each run."`
}

func (c *exportCmd) Help() string {
	return `Writes whole runs: journal, mailbox, hooks, receipts, answers, all that there is. What was written can be read into another database, also of another kind, where the runs go on:

  tenter export --db sqlite:app.db -o runs.jsonl
  tenter import --db postgres://app@db.example.com/app runs.jsonl

To move runs, stop the programs that execute and resume them before, and start them on the new database afterwards. While a worker is live an export is refused with exit code 4,
because what the worker does next is not in it; --live exports all the same, for a look elsewhere.

An export has all payloads, and the secrets from which tokens are made: keep it as you keep the database. Executions of steps under way are not in it; their steps are executed again,
as after a crash.

--for-replay writes what workflowtest.Replay needs of runs, for a repository, where the journals of typical runs show whether a change of the code could continue them:

  tenter export order-7 --for-replay --redact email,name -o testdata/order.jsonl

It has no secrets of runs, and others in place of generated tokens and of redacted values, wherever they occur. A run can't be imported from it. Of what code has drawn with NewID and Rand it has
the first --draws; a replay that draws more is "unable". A function that knows the code, Engine.ExportForReplay, writes what the code draws, and checks that it takes the same way with redacted
values; otherwise workflowtest.Replay says so.

Each line is an object with one key, which says what it is: export, tree, run, event, cut, message, unread, hook, receipt, response, tx_step, generation.`
}

func (c *exportCmd) Run(a *app) error {
	err := c.export(a)
	if err != nil && c.Output == "" {
		a.hint = a.emptyRedirection()
	}
	return err
}

func (c *exportCmd) export(a *app) error {
	if !c.ForReplay && len(c.Redact) > 0 {
		return usage("--redact: say --for-replay as well: other exports are whole")
	}
	st, err := a.database(true)
	if err != nil {
		return err
	}
	source, ok := st.(store.Archiver)
	if !ok {
		return fmt.Errorf("runs can't be exported from %s", st)
	}
	if err := c.checkWorkers(a.ctx, st); err != nil {
		return err
	}
	trees, err := c.trees(a, st)
	if err != nil {
		return err
	}
	if c.Output == "" {
		_, err := c.write(a, a.stdout, source, st.String(), trees)
		return err
	}
	f, err := createOutput(c.Output)
	if err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	n, err := c.write(a, f, source, st.String(), trees)
	if err = f.finish(err); err != nil {
		return err
	}
	a.out.printf("%s exported to %s.\n", plural(n, "run"), line(c.Output))
	return nil
}

// checkWorkers refuses an export that would not be the end of the matter.
func (c *exportCmd) checkWorkers(ctx context.Context, st store.Store) error {
	workers, err := st.Workers(ctx)
	if err != nil || c.Live || c.ForReplay {
		return err
	}
	for _, w := range workers {
		if w.Live {
			return fmt.Errorf("%w: worker %s is live, and what it does next would not be in the export: stop it, or say --live for a copy to look at", errRefused, w.Name)
		}
	}
	return nil
}

// tree is a run with all runs below it, itself first.
type tree []string

// trees finds the runs to be exported.
func (c *exportCmd) trees(a *app, st store.Store) ([]tree, error) {
	if len(c.Runs) > 0 {
		return c.named(a, st)
	}
	bar := a.progress()
	defer bar.clear()
	type head struct {
		id, parent string
		ended      bool
	}
	var heads []head
	f := store.Filter{Limit: 1000}
	for {
		runs, err := st.Runs(a.ctx, f)
		if err != nil {
			return nil, err
		}
		for i := range runs {
			heads = append(heads, head{runs[i].ID, runs[i].ParentID, runs[i].Status.Ended()})
		}
		if len(runs) < f.Limit {
			break
		}
		f.Before = runs[len(runs)-1].Cursor()
		bar.show(number(int64(len(heads)))+" runs", 0, 0)
	}
	known := make(map[string]bool, len(heads))
	children := map[string][]int{}
	for _, h := range heads {
		known[h.id] = true
	}
	for i, h := range heads {
		if known[h.parent] {
			children[h.parent] = append(children[h.parent], i)
		}
	}
	var trees []tree
	for _, root := range slices.Backward(heads) { // the oldest first
		if known[root.parent] {
			continue
		}
		t, open := tree{root.id}, !root.ended
		for n := 0; n < len(t); n++ {
			for _, i := range children[t[n]] {
				t, open = append(t, heads[i].id), open || !heads[i].ended
			}
		}
		if open || !c.Open {
			trees = append(trees, t)
		}
	}
	return trees, nil
}

// named finds the trees of the runs that were named.
func (c *exportCmd) named(a *app, st store.Store) ([]tree, error) {
	var trees []tree
	seen := map[string]bool{}
	for _, id := range c.Runs {
		r, err := st.Run(a.ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			err = workflow.ErrRunNotFound
		}
		if err != nil {
			return nil, fmt.Errorf("export run %s: %w", id, err)
		}
		if seen[id] {
			continue
		}
		if r.ParentID != "" && !slices.Contains(c.Runs, r.ParentID) {
			_, _ = fmt.Fprintf(a.stderr, "tenter: run %s is a child of %s, which is not exported with it and will miss its result\n", line(id), line(r.ParentID))
		}
		seen[id] = true
		t := tree{id}
		for n := 0; n < len(t); n++ {
			f := store.Filter{ParentID: t[n], Limit: 1000}
			for {
				runs, err := st.Runs(a.ctx, f)
				if err != nil {
					return nil, err
				}
				for i := range runs {
					if !seen[runs[i].ID] {
						seen[runs[i].ID] = true
						t = append(t, runs[i].ID)
					}
				}
				if len(runs) < f.Limit {
					break
				}
				f.Before = runs[len(runs)-1].Cursor()
			}
		}
		trees = append(trees, t)
	}
	return trees, nil
}

// exportAhead is how many runs are read while earlier ones are written.
const exportAhead = 16

// writer writes the runs of an export.
type writer struct {
	head func(runs int) error
	tree func(root string, runs int) error
	run  func(a *store.Archive) error
}

// writer returns what writes an export of the kind that is wanted.
func (c *exportCmd) writer(w io.Writer, from string) writer {
	if !c.ForReplay {
		return writer{
			func(runs int) error { return archive.WriteHead(w, from, time.Now().UTC(), runs) },
			func(root string, runs int) error { return archive.WriteTree(w, root, runs) },
			func(a *store.Archive) error { return archive.WriteRun(w, a) },
		}
	}
	recorder := archive.Recorder{IDs: c.Draws, Rands: c.Draws, Redact: archive.RedactFields(c.Redact)}
	return writer{
		func(runs int) error { return archive.WriteReplayHead(w, runs) },
		func(string, int) error { return nil }, // each is a tree of its own: the names of roots may be redacted
		func(a *store.Archive) error {
			rec, err := recorder.Record(a)
			if err != nil {
				return fmt.Errorf("run %s: %w", a.Run.ID, err)
			}
			return archive.WriteRecording(w, &rec)
		},
	}
}

func (c *exportCmd) write(a *app, out io.Writer, source store.Archiver, from string, trees []tree) (n int, err error) {
	total := 0
	for _, t := range trees {
		total += len(t)
	}
	w := bufio.NewWriterSize(out, 1<<20)
	export := c.writer(w, from)
	if err := export.head(total); err != nil {
		return 0, err
	}
	bar := a.progress()
	defer bar.clear()

	type read struct {
		run store.Archive
		err error
	}
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	ahead := make(chan chan read, exportAhead)
	go func() {
		defer close(ahead)
		for _, t := range trees {
			for _, id := range t {
				answer := make(chan read, 1)
				select {
				case ahead <- answer:
				case <-ctx.Done():
					return
				}
				go func() {
					run, err := source.Export(ctx, id)
					answer <- read{run, err}
				}()
			}
		}
	}()
	for _, t := range trees {
		if err := export.tree(t[0], len(t)); err != nil {
			return n, err
		}
		for _, id := range t {
			answer, ok := <-ahead
			if !ok {
				return n, ctx.Err()
			}
			r := <-answer
			if r.err != nil {
				return n, fmt.Errorf("export run %s: %w", id, r.err)
			}
			if err := export.run(&r.run); err != nil {
				return n, fmt.Errorf("write the export: %w", err)
			}
			n++
			bar.show(fmt.Sprintf("%s of %s runs", number(int64(n)), number(int64(total))), int64(n), int64(total))
		}
	}
	return n, w.Flush()
}

type importCmd struct {
	File         string `arg:"" optional:"" help:"File that export has written; - or nothing is standard input."`
	SkipExisting bool   `help:"Skip runs that exist already, to continue an interrupted import."`
}

func (c *importCmd) Help() string {
	return `Reads what "tenter export" has written. The runs go on as soon as a worker has their workflows. A run is imported with its children, all of it or nothing. If a run is there already,
or another run has one of its tokens, the import ends with exit code 4; what came before is imported, and stays. --skip-existing goes on from there.

An import never changes a run that is there. Idempotency keys and answers to HTTP requests come along.`
}

// importers is how many trees are imported at the same time, so that they share commits.
const importers = 16

func (c *importCmd) Run(a *app) error {
	in := a.stdin
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("read the export: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	reader := archive.NewReader(in)
	head, err := reader.Head()
	if err != nil {
		return usage("%w", err)
	}
	if head.ForReplay {
		return usage("these runs were exported for workflowtest.Replay, without their secrets, and can't go on: export them without --for-replay")
	}
	st, err := a.database(false) // which makes it: not before there is something to import
	if err != nil {
		return err
	}
	target, ok := st.(store.Archiver)
	if !ok {
		return fmt.Errorf("runs can't be imported into %s", st)
	}
	im := &importer{app: a, target: target, skip: c.SkipExisting, total: head.Runs, bar: a.progress(), slots: make(chan struct{}, importers)}
	err = im.read(reader)
	im.bar.clear()
	if a.cli.JSON {
		return errors.Join(err, a.out.json(map[string]int{"imported": im.imported, "skipped": im.skipped}))
	}
	text := plural(im.imported, "run") + " imported"
	if im.skipped > 0 {
		text += fmt.Sprintf(", %s skipped because they are there already", number(int64(im.skipped)))
	}
	a.out.printf("%s.\n", text)
	return err
}

// importError says why an import has ended before its end.
func importError(root, taken string, err error) error {
	switch {
	case errors.Is(err, store.ErrExists):
		return fmt.Errorf("import run %s: %w: run %s is there already: --skip-existing leaves such runs alone", root, errRefused, taken)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("import run %s: %w: an open hook of another run has the token %s: end that run, or have it close the hook", root, errRefused, run.QuoteToken(taken))
	case err != nil && !strings.Contains(err.Error(), root):
		return fmt.Errorf("import run %s: %w", root, err)
	}
	return err
}
