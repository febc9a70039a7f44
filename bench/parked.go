package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// parked measures processes that have many parked runs. Each is a process of its
// own, this program again, so that its memory and its start are counted alone.
var parked = []benchmark{{"parked", measureParked}}

// childArg says that this process is such a one.
const childArg = "parked-child"

// childReport is what a child process has found.
type childReport struct {
	StartsPerSecond   float64
	StartedMB         float64 // with the default cache full
	OpenSeconds       float64 // until a new run has completed
	FirstResumeMillis float64
	RestartedMB       float64
	IdleCPU           float64 // ms/s
	IdleCommits       float64 // /s, of any operation that writes
	IdleOperations    float64 // /s
	Token             string
}

func measureParked(ctx context.Context, e *env) (ms []metric, err error) {
	dir, err := os.MkdirTemp(e.dir, "tenter-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db := filepath.Join(dir, "parked.db")
	n := e.size(100_000)
	var started, restarted childReport
	if err := runChild(ctx, &started, "start", db, fmt.Sprint(n)); err != nil {
		return nil, err
	}
	idle := 5 * time.Second
	if e.quick {
		idle = time.Second
	}
	if err := runChild(ctx, &restarted, "restart", db, started.Token, idle.String()); err != nil {
		return nil, err
	}
	return []metric{
		{"100,000 parked runs: started, 256 at a time", started.StartsPerSecond, "runs/s", budget{}},
		{"100,000 parked runs: memory (RSS), 10,000 of them cached", started.StartedMB, "MB", atMost(150)},
		{"100,000 parked runs: memory (RSS) after a restart", restarted.RestartedMB, "MB", atMost(150)},
		{"100,000 parked runs: restart until a new run has completed", restarted.OpenSeconds, "s", atMost(1)},
		{"100,000 parked runs: the first resume after it → completed", restarted.FirstResumeMillis, "ms", budget{}},
		{"100,000 parked runs: idle CPU", restarted.IdleCPU, "ms/s", budget{}},
		{"100,000 parked runs: idle store operations", restarted.IdleOperations, "/s", budget{}},
		{"100,000 parked runs: idle commits", restarted.IdleCommits, "/s", budget{}},
	}, nil
}

func runChild(ctx context.Context, report *childReport, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{childArg}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("child %s: %w", args[0], err)
	}
	return json.Unmarshal(out, report)
}

// child is the main function of a child process.
func child(ctx context.Context, args []string) error {
	args = args[1:] // childArg
	began := time.Now()
	w, err := openWorld(ctx, args[1], engine.Options{}, func(s *sqlite.Store) store.Store { return s })
	if err != nil {
		return err
	}
	report := childReport{OpenSeconds: time.Since(began).Seconds()}
	if args[0] == "start" {
		err = report.start(ctx, w, args[2])
	} else {
		err = report.restarted(ctx, w, args[2], args[3])
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	return joinClose(err, w)
}

func (r *childReport) start(ctx context.Context, w *world, count string) error {
	var n int
	if _, err := fmt.Sscan(count, &n); err != nil {
		return err
	}
	began := time.Now()
	runs, err := w.park(ctx, n)
	if err != nil {
		return err
	}
	r.StartsPerSecond = float64(n) / time.Since(began).Seconds()
	r.Token = tokenOf(runs[n/2].ID())
	tokens.Clear()
	r.StartedMB, err = settledMB()
	return err
}

func (r *childReport) restarted(ctx context.Context, w *world, token, idle string) error {
	began := time.Now()
	info, err := w.eng.Resume(ctx, token, "!")
	if err != nil {
		return err
	}
	if _, err := hookWorkflow.Get(w.eng, info.RunID).Result(ctx); err != nil {
		return err
	}
	r.FirstResumeMillis = float64(time.Since(began).Microseconds()) / 1000
	if r.RestartedMB, err = settledMB(); err != nil {
		return err
	}
	d, err := time.ParseDuration(idle)
	if err != nil {
		return err
	}
	before, stats := usageNow(), w.db.Stats()
	<-time.After(d)
	used, after := usageNow().since(before), w.db.Stats()
	r.IdleCPU = float64(used.cpu.Microseconds()) / 1000 / d.Seconds()
	r.IdleOperations = float64(after.Operations-stats.Operations) / d.Seconds()
	r.IdleCommits = float64(after.Commits-stats.Commits) / d.Seconds()
	return nil
}

// settledMB is the memory without what is garbage already.
func settledMB() (float64, error) {
	runtime.GC()
	debug.FreeOSMemory()
	return residentMB()
}
