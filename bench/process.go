package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// childArg says that this process is a child: a worker process on a database that
// others may have open too.
const childArg = "child"

// process is a child. Its memory, its start and its CPU are counted alone.
type process struct {
	cmd   *exec.Cmd
	calls *rpc.Client
}

// startProcess returns when the child has executed a run.
func startProcess(ctx context.Context, url string, cacheSize int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, childArg, url, strconv.Itoa(cacheSize))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd, rpc.NewClient(pipe{out, in})}
	var took time.Duration
	if err := p.call("Opened", none{}, &took); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// startProcesses starts n children.
func startProcesses(ctx context.Context, n int, url string, cacheSize int) (ps processes, err error) {
	ps = make(processes, n)
	return ps, each(n, n, func(i int) (err error) {
		ps[i], err = startProcess(ctx, url, cacheSize)
		return err
	})
}

// onProcesses measures what workers processes do that share a database, at url.
func onProcesses(cacheSize int, measure func(ctx context.Context, e *env, url string, ps processes) ([]metric, error)) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		url, drop, err := e.create(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, drop()) }()
		ps, err := startProcesses(ctx, workers, url, cacheSize)
		defer func() { err = errors.Join(err, ps.close()) }()
		if err != nil {
			return nil, err
		}
		return measure(ctx, e, url, ps)
	}
}

func (p *process) call(method string, args, reply any) error {
	if err := p.calls.Call("Child."+method, args, reply); err != nil {
		return fmt.Errorf("child process: %s: %w", method, err)
	}
	return nil
}

// close ends the child as a user would, and waits until it has.
func (p *process) close() error {
	return errors.Join(p.calls.Close(), p.cmd.Wait())
}

type processes []*process

// all has all children do something, at the same time. do gets the index of each.
func (ps processes) all(do func(i int, p *process) error) error {
	return each(len(ps), len(ps), func(i int) error { return do(i, ps[i]) })
}

// spent is what the children have used so far, together.
func (ps processes) spent() (all Spent, err error) {
	for _, p := range ps {
		var s Spent
		if err := p.call("Spent", none{}, &s); err != nil {
			return all, err
		}
		all.CPU += s.CPU
		all.Counts = all.Counts.since(counts{-s.Counts.Operations, -s.Counts.Commits, -s.Counts.Statements, -s.Counts.Notified})
	}
	return all, nil
}

func (ps processes) close() error {
	var errs []error
	for _, p := range ps {
		if p != nil {
			errs = append(errs, p.close())
		}
	}
	return errors.Join(errs...)
}

// pipe makes a connection of two files.
type pipe struct {
	io.ReadCloser
	w io.WriteCloser
}

func (p pipe) Write(b []byte) (int, error) { return p.w.Write(b) }

func (p pipe) Close() error { return errors.Join(p.w.Close(), p.ReadCloser.Close()) }

// child is what a process does for its parent, over standard input and output. What
// it returns has to have exported names, for package rpc.
type child struct {
	ctx    context.Context //nolint:containedctx // of the process
	w      *world
	opened time.Duration
}

// childMain is the main function of a child process: it ends with its standard input.
func childMain(ctx context.Context, args []string) error {
	began := time.Now()
	url := args[0]
	cacheSize, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	opts := engine.Options{CacheSize: cacheSize, KeepGenerationsFor: time.Minute}
	opts.PublicURL = "http://127.0.0.1" // the process that serves webhooks makes its URLs itself
	w, err := openWorld(ctx, url, opts, same)
	if err != nil {
		return err
	}
	calls := rpc.NewServer()
	if err := calls.RegisterName("Child", &child{ctx, w, time.Since(began)}); err != nil {
		return joinClose(err, w)
	}
	calls.ServeConn(pipe{os.Stdin, os.Stdout})
	return w.close()
}

type none = struct{}

// Opened returns how long it took until a new run had completed.
func (c *child) Opened(_ none, took *time.Duration) error { //nolint:unparam // package rpc wants it
	*took = c.opened
	return nil
}

// Load is a number of runs, so many at a time.
type Load struct{ Runs, AtATime int }

// Steps executes runs of three steps, from start to result.
func (c *child) Steps(l Load, _ *none) error {
	return each(l.Runs, l.AtATime, func(int) error { return c.w.steps(c.ctx, 3) })
}

// Start executes a run of so many steps, and returns how long it took.
func (c *child) Start(steps int, took *time.Duration) error {
	began := time.Now()
	err := c.w.steps(c.ctx, steps)
	*took = time.Since(began)
	return err
}

// Empty executes runs without steps.
func (c *child) Empty(n int, _ *none) error {
	return each(n, 256, func(int) error { return c.w.steps(c.ctx, 0) })
}

// Page is a page of a list of runs.
type Page struct{ Waiting bool }

// List lists runs, and returns how long it took.
func (c *child) List(p Page, took *time.Duration) error {
	f := inspect.RunFilter{Limit: 100}
	if p.Waiting {
		f.Status = workflow.StatusWaiting
	}
	began := time.Now()
	_, err := c.w.eng.Runs(c.ctx, f)
	*took = time.Since(began)
	return err
}

// Park starts runs that wait on a hook.
func (c *child) Park(n int, took *time.Duration) error {
	began := time.Now()
	_, err := c.w.park(c.ctx, n)
	*took = time.Since(began)
	return err
}

// ParkedRun is a run that waits for a payload.
type ParkedRun struct{ ID, Token string }

// Parked returns some of the runs that were parked, and forgets the tokens of the others.
func (c *child) Parked(n int, runs *[]ParkedRun) error {
	tokens.Range(func(id, token any) bool {
		if len(*runs) == n {
			return false
		}
		*runs = append(*runs, ParkedRun{id.(string), token.(string)})
		return true
	})
	tokens.Clear()
	if len(*runs) < n {
		return fmt.Errorf("only %d runs were parked, not %d", len(*runs), n)
	}
	return nil
}

// TakeParked returns the runs that have been parked in this process since the last time.
func (c *child) TakeParked(_ none, runs *[]ParkedRun) error { //nolint:unparam // package rpc wants it
	tokens.Range(func(id, token any) bool {
		tokens.Delete(id)
		*runs = append(*runs, ParkedRun{id.(string), token.(string)})
		return true
	})
	return nil
}

// Resume resumes a run and returns how long it took until that had completed.
func (c *child) Resume(r ParkedRun, took *time.Duration) error {
	began := time.Now()
	_, err := c.w.resumed(c.ctx, r)
	*took = time.Since(began)
	return err
}

// Memory returns what the process has in RAM, in MB.
func (c *child) Memory(_ none, mb *float64) (err error) {
	*mb, err = settledMB()
	return err
}

// Spent is what a process has used so far.
type Spent struct {
	CPU    time.Duration
	Counts counts
}

func (s Spent) since(before Spent) Spent {
	return Spent{s.CPU - before.CPU, s.Counts.since(before.Counts)}
}

// Spent returns what the process has used so far.
func (c *child) Spent(_ none, s *Spent) error { //nolint:unparam // package rpc wants it
	*s = Spent{usageNow().cpu, c.w.db.counts()}
	return nil
}
