//go:build unix

package scenario_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// Somebody moves, deletes or replaces the files of a SQLite database, while no process has
// them open or under a process that does. What was acknowledged is there when the files are
// put back, and nothing is acknowledged that is not in them.

// TestFileMissing: a process is killed, the file is moved away, and the program is started
// again. It does not make a new database, which would destroy the log of the old one.
func TestFileMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	r := role{Database: "sqlite:" + path, Lease: workLease}
	p := spawn(t, r)
	p.collect(t, "s1", 0, 1, 2)
	p.kill()
	log := size(t, path+"-wal")
	if log == 0 {
		t.Fatal("all is in the file")
	}
	rename(t, path, path+".away")
	for range 2 {
		out := failsToStart(t, r)
		for _, want := range []string{"it is not there, and a.db-wal is", "put the file back beside it"} {
			if !strings.Contains(out, want) {
				t.Errorf("the process said %q; want %q", out, want)
			}
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("there is a new file, %v", err)
		}
		if got := size(t, path+"-wal"); got != log {
			t.Fatalf("the log had %d bytes, and has %d", log, got)
		}
	}
	rename(t, path+".away", path)
	p = spawn(t, r)
	defer p.kill()
	p.collected(t, "s1", 0, 1, 2)
}

// TestFilesTakenAway: the files are taken away under a process. From then on it acknowledges
// nothing, whatever it is asked and how soon; it goes on so when other files are put in their
// place, by another process that is started on the same path. What it had acknowledged is
// there again when its files are back.
func TestFilesTakenAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files []string // suffixes
		take  func(path, to string) error
		other bool // another process can be started then
	}{
		{"all deleted", []string{"", "-wal", "-shm"}, deleted, true},
		{"log deleted", []string{"-wal"}, deleted, false},
		{"log and its index deleted", []string{"-wal", "-shm"}, deleted, false},
		{"file deleted", []string{""}, deleted, false},
		{"all moved", []string{"", "-wal", "-shm"}, os.Rename, true},
		{"file moved", []string{""}, os.Rename, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, away := t.TempDir(), t.TempDir()
			path := filepath.Join(dir, "a.db")
			r := role{Database: "sqlite:" + path, Lease: workLease}
			p := spawn(t, r)
			defer p.kill()
			p.collect(t, "s1", 0, 1, 2)
			before := p.startMany(t, "before", nil)
			if len(before) < 100 {
				t.Fatalf("%d runs were started", len(before))
			}
			for _, suffix := range tt.files {
				if err := tt.take(path+suffix, filepath.Join(away, "a.db"+suffix)); err != nil {
					t.Fatal(err)
				}
			}
			waits := []*rpc.Call{p.refusesAll(t)}
			if tt.other {
				other := spawn(t, r)
				other.collect(t, "s1", 7) // the same token
				waits = append(waits, p.refusesAll(t))
				other.collected(t, "s1", 7)
				other.kill()
				for _, suffix := range []string{"", "-wal", "-shm"} {
					_ = os.Remove(path + suffix)
				}
			}
			// As operations.md says.
			rescued := map[string]string{}
			for _, suffix := range tt.files {
				from := filepath.Join(away, "a.db"+suffix)
				if fds := p.open(path + suffix); len(fds) > 0 {
					copyFile(t, fds[0], from)
				} else if _, err := os.Stat(from); err != nil {
					t.Skip("deleted files can be saved on Linux only")
				}
				if suffix != "-shm" {
					rescued[from] = path + suffix
				}
			}
			p.kill()
			for _, start := range waits {
				if <-start.Done; start.Error == nil {
					t.Error("a run was started")
				}
			}
			for from, to := range rescued {
				rename(t, from, to)
			}
			p = spawn(t, r)
			defer p.kill()
			p.collected(t, "s1", 0, 1, 2)
			for _, id := range before {
				var again string
				if err := p.client.Call("Door.Start", workflow.StartRequest{Workflow: healthy.Name(), RunID: id, Input: encode(t, 1)}, &again); err == nil || !strings.Contains(err.Error(), "exists") {
					t.Errorf("run %s was started, and is gone: %v", id, err)
				}
			}
		})
	}
}

// TestFilesDeletedUnderLoad: whatever is acknowledged, up to the last moment, was in the files
// before they were deleted.
func TestFilesDeletedUnderLoad(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("deleted files can be saved on Linux only")
	}
	path := filepath.Join(t.TempDir(), "a.db")
	r := role{Database: "sqlite:" + path}
	p := spawn(t, r)
	defer p.kill()
	enough := make(chan struct{})
	go func() {
		<-enough
		for _, suffix := range []string{"-wal", "", "-shm"} {
			if err := os.Remove(path + suffix); err != nil {
				t.Error(err)
			}
		}
	}()
	started := p.startMany(t, "r", enough)
	file, log := p.open(path), p.open(path+"-wal")
	if len(file) == 0 || len(log) == 0 {
		t.Fatal("the files are closed")
	}
	copyFile(t, file[0], path)
	copyFile(t, log[0], path+"-wal")
	p.kill()
	p = spawn(t, r)
	defer p.kill()
	for _, id := range started {
		var again string
		if err := p.client.Call("Door.Start", workflow.StartRequest{Workflow: healthy.Name(), RunID: id, Input: encode(t, 1)}, &again); err == nil || !strings.Contains(err.Error(), "exists") {
			t.Errorf("run %s was started, and is gone: %v", id, err)
		}
	}
	t.Logf("%d runs were started", len(started))
}

// collect starts a run that collects values, and sends some.
func (p *process) collect(t *testing.T, sensor string, values ...int) {
	t.Helper()
	var id string
	if err := p.client.Call("Door.Start", workflow.StartRequest{Workflow: collection.Name(), RunID: "collect-" + sensor, Input: encode(t, sensor)}, &id); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		var hooks []workflow.HookInfo
		err := p.client.Call("Door.Hooks", inspect.HookFilter{RunID: id}, &hooks)
		return err == nil && len(hooks) > 0
	})
	for _, v := range values {
		if err := p.resume(t, sensor, reading{Value: v}); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *process) resume(t *testing.T, sensor string, r reading) error {
	t.Helper()
	var info workflow.HookInfo
	return p.client.Call("Door.Resume", workflow.ResumeRequest{Token: "readings:" + sensor, Payload: encode(t, r)}, &info)
}

// inDoubt is a value that was refused with an error that leaves open whether it was written: it
// may be in files that were taken away a moment before, and come back with them.
const inDoubt = 99

// collected checks that a run has collected these values, and no others.
func (p *process) collected(t *testing.T, sensor string, want ...int) {
	t.Helper()
	if err := p.resume(t, sensor, reading{Done: true}); err != nil {
		t.Fatal(err)
	}
	var res workflow.RunResult
	if err := p.client.Call("Door.Await", "collect-"+sensor, &res); err != nil {
		t.Fatal(err)
	}
	var got []int
	if err := json.Unmarshal(res.Output, &got); err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, func(v int) bool { return v == inDoubt })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-sent +collected):\n%s", diff)
	}
}

// startMany starts runs from several callers, and returns those of which it was acknowledged:
// a few, or until it fails after enough was closed by the first few.
func (p *process) startMany(t *testing.T, name string, enough chan struct{}) (started []string) {
	t.Helper()
	var all sync.Mutex
	var callers sync.WaitGroup
	for c := range 8 {
		callers.Go(func() {
			for i := range 100_000 {
				id := fmt.Sprintf("%s-%d-%d", name, c, i)
				var is string
				err := p.client.Call("Door.Start", workflow.StartRequest{Workflow: healthy.Name(), RunID: id, Input: encode(t, 1)}, &is)
				if err != nil {
					if enough == nil || !strings.Contains(err.Error(), "removed or replaced") {
						t.Error(err)
					}
					return
				}
				all.Lock()
				started = append(started, id)
				n := len(started)
				all.Unlock()
				if enough == nil && i == 15 {
					return
				}
				if enough != nil && n == 200 {
					close(enough)
				}
			}
		})
	}
	callers.Wait()
	return started
}

// refusesAll checks that the process acknowledges nothing. A worker has a start wait for the
// database, however long: the one that is returned must never be acknowledged.
func (p *process) refusesAll(t *testing.T) (waits *rpc.Call) {
	t.Helper()
	err := p.resume(t, "s1", reading{Value: inDoubt})
	if err == nil || !strings.Contains(err.Error(), "the files of the database were removed or replaced") {
		t.Errorf("resume: %v", err)
	}
	var id string
	return p.client.Go("Door.Start", workflow.StartRequest{Workflow: healthy.Name(), Input: encode(t, 1)}, &id, nil)
}

// open returns names under which the process has a file open, whatever has become of it.
func (p *process) open(path string) (names []string) {
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	fds, _ := os.ReadDir(dir) // there is none but on Linux
	for _, fd := range fds {
		name := filepath.Join(dir, fd.Name())
		if to, err := os.Readlink(name); err == nil && strings.TrimSuffix(to, " (deleted)") == path {
			names = append(names, name)
		}
	}
	return names
}

// failsToStart plays a role that has to fail, and returns what it said.
func failsToStart(t *testing.T, r role) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(within(t), self)
	cmd.Env = append(os.Environ(), processEnv+"="+string(encode(t, r)))
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("the process ended with %v", err)
	}
	return string(out)
}

func deleted(path, _ string) error { return os.Remove(path) }

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
