package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/proc"
	"github.com/tenter-dev/tenter/bench/race/peer"
)

// A process races an engine. Its database is gone when it is closed, unless it is the
// client of another process.
type process struct {
	program  string // path
	config   peer.Config
	cmd      *exec.Cmd
	in       io.WriteCloser
	commands *json.Encoder
	results  *json.Decoder
	log      string // path
	cleanup  []func() error
	server   int // process ID of the database server, or 0
}

// ready says why an engine can't be started at all.
func (r *race) ready(c contender) error {
	if err := r.builds[c.peer].err; err != nil || c.store != "postgres" {
		return err
	}
	return r.postgres.err
}

// start returns when the engine is ready.
func (r *race) start(ctx context.Context, c contender, role peer.Role) (p *process, err error) {
	b := r.builds[c.peer]
	p = &process{program: b.program, config: peer.Config{Role: role, Store: c.store, Server: b.server}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	dir, err := os.MkdirTemp(r.dir, "tenter-race-")
	if err != nil {
		return nil, err
	}
	p.cleanup = append(p.cleanup, func() error { return os.RemoveAll(dir) })
	p.config.Dir = filepath.Join(dir, "data")
	if err := os.Mkdir(p.config.Dir, 0o755); err != nil {
		return nil, err
	}
	if p.config.Port, err = peer.FreePort(ctx); err != nil {
		return nil, err
	}
	if c.store == "postgres" {
		var drop func() error
		if p.config.URL, drop, err = r.postgres.create(ctx); err != nil {
			return nil, err
		}
		p.cleanup = append(p.cleanup, drop)
		p.server = r.postgres.postmaster
	}
	p.log = filepath.Join(dir, "log")
	return p, p.launch(ctx)
}

// startClient starts a client of a worker. Close it before the worker.
func (p *process) startClient(ctx context.Context) (*process, error) {
	client := &process{program: p.program, config: p.config, log: p.log + "-client"}
	client.config.Role = peer.RoleClient
	if err := client.launch(ctx); err != nil {
		return nil, closed(err, client)
	}
	return client, nil
}

func (p *process) launch(ctx context.Context) error {
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child writes it
	p.cmd = exec.CommandContext(ctx, p.program)
	p.cmd.Stderr = log
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.commands, p.results = json.NewEncoder(p.in), json.NewDecoder(out)
	if err := p.commands.Encode(p.config); err != nil {
		return p.failed(err)
	}
	_, err = p.result() // it is ready
	return err
}

// do has the engine do something, and returns what came of it.
func (p *process) do(c peer.Command) (peer.Result, error) {
	if err := p.commands.Encode(c); err != nil {
		return peer.Result{}, p.failed(err)
	}
	return p.result()
}

func (p *process) result() (r peer.Result, err error) {
	if err := p.results.Decode(&r); err != nil {
		return r, p.failed(err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// failed adds what a process that has ended wrote last.
func (p *process) failed(err error) error {
	log, _ := os.ReadFile(p.log)
	return fmt.Errorf("%w: %s", err, lastLine(log))
}

// memory is what all processes that the engine needs have in RAM, in MB, once it is
// quiet.
func (p *process) memory(ctx context.Context) (float64, error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	sum, err := proc.TreeMemory(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if p.server != 0 {
		n, err := proc.TreeMemory(p.server)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return float64(sum) / (1 << 20), nil
}

// settle is how long an engine gets to let go of what it needs no more.
const settle = 5 * time.Second

// close ends the process, and the database if it has one of its own.
func (p *process) close() error {
	var errs []error
	if p.cmd != nil && p.cmd.Process != nil {
		errs = append(errs, p.in.Close())
		killer := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait() // it was asked for all that matters
		killer.Stop()
	}
	for _, f := range p.cleanup {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
