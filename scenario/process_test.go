package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	// shortLease is for workers that are to be killed.
	shortLease = 200 * time.Millisecond
	// longLease is for workers that must not lose a run because the machine is slow.
	longLease = 30 * time.Second
)

// databaseEnv makes the test binary a worker on a database, with a lease.
const (
	databaseEnv = "TENTER_SCENARIO_DATABASE"
	leaseEnv    = "TENTER_SCENARIO_LEASE"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(databaseEnv); path != "" {
		if err := work(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// processWorkflows are what worker processes execute.
func processWorkflows() []workflow.Definition {
	return []workflow.Definition{
		approval.Implement((&approver{}).approve), collection, channelLog, healthy, logging, poisonedStep, poisonedCode,
	}
}

// work executes runs until standard input ends, over which the test talks to it.
func work(path string) error {
	st, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	lease, err := time.ParseDuration(os.Getenv(leaseEnv))
	if err != nil {
		return err
	}
	e, err := engine.New(st, engine.Options{
		Workflows: processWorkflows(),
		Lease:     lease,
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	server := rpc.NewServer()
	if err := server.RegisterName("Door", &door{e}); err != nil {
		return err
	}
	go func() {
		defer stop()
		server.ServeConn(pipe{os.Stdin, os.Stdout})
	}()
	return errors.Join(e.Run(ctx), e.Close(), st.Close())
}

// door is how the test starts and resumes runs in a worker process.
type door struct{ eng *engine.Engine }

// StartArgs ask for a run.
type StartArgs struct {
	Workflow, RunID string
	Input           json.RawMessage
}

// Start starts a run.
func (d *door) Start(a StartArgs, runID *string) (err error) {
	*runID, err = d.eng.StartRun(context.Background(), workflow.StartRequest{Workflow: a.Workflow, RunID: a.RunID, Input: a.Input})
	return err
}

// ResumeArgs are a payload.
type ResumeArgs struct {
	Token, Key string
	Payload    json.RawMessage
	OrStart    bool // a channelLog
}

// Resume sends a payload.
func (d *door) Resume(a ResumeArgs, info *workflow.HookInfo) (err error) {
	opts := []workflow.ResumeOption{workflow.IdempotencyKey(a.Key)}
	if a.OrStart {
		opts = append(opts, workflow.OrStart(channelLog, strings.TrimPrefix(a.Token, "channel:")))
	}
	*info, err = d.eng.Resume(context.Background(), a.Token, a.Payload, opts...)
	return err
}

// pipe makes a connection of two files.
type pipe struct {
	io.ReadCloser
	w io.WriteCloser
}

func (p pipe) Write(b []byte) (int, error) { return p.w.Write(b) }

func (p pipe) Close() error { return errors.Join(p.ReadCloser.Close(), p.w.Close()) }

// A process is a worker process.
type process struct {
	cmd    *exec.Cmd
	client *rpc.Client
	exited chan struct{}
}

func spawn(t *testing.T, path string, lease time.Duration) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self) //nolint:noctx // it ends with its standard input, or is killed
	cmd.Env = append(os.Environ(), databaseEnv+"="+path, leaseEnv+"="+lease.String())
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, client: rpc.NewClient(pipe{out, in}), exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_, _ = cmd.Process.Wait() // killed or not, it is gone
	}()
	return p
}

// kill kills the process with SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.exited
	_ = p.client.Close()
}

// A service is a worker process that is started again whenever it has died.
type service struct {
	t     *testing.T
	path  string
	lease time.Duration
	api   *engine.Engine // of the test's own process: a client

	mu     sync.Mutex
	p      *process
	closed bool
	deaths int
	keeper sync.WaitGroup
}

func newDatabase(t *testing.T) (path string, st *sqlite.Store) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "scenario.db")
	st, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return path, st
}

func newAPI(t *testing.T, st store.Store) *engine.Engine {
	t.Helper()
	e, err := engine.New(st, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func newService(t *testing.T, path string, lease time.Duration, api *engine.Engine) *service {
	t.Helper()
	s := &service{t: t, path: path, lease: lease, api: api, p: spawn(t, path, lease)}
	s.keeper.Go(s.keep)
	t.Cleanup(s.close)
	return s
}

// keep starts the next process when one has died.
func (s *service) keep() {
	for {
		<-s.process().exited
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return
		}
		s.deaths++
		s.p = spawn(s.t, s.path, s.lease)
		s.mu.Unlock()
	}
}

func (s *service) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.p
}

// died returns how many processes have.
func (s *service) died() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deaths
}

// kill kills the process that is up.
func (s *service) kill() { s.process().kill() }

func (s *service) close() {
	s.mu.Lock()
	s.closed = true
	p := s.p
	s.mu.Unlock()
	_ = p.client.Close() // ends it cleanly
	<-p.exited
	s.keeper.Wait()
}

// try makes a call, once. It returns heard false if the process died before it
// answered.
func (s *service) try(method string, args, reply any) (heard bool, err error) {
	p := s.process()
	err = p.client.Call("Door."+method, args, reply)
	if _, refused := errors.AsType[rpc.ServerError](err); err == nil || refused {
		return true, err
	}
	select {
	case <-p.exited:
	case <-s.t.Context().Done():
	}
	return false, err
}

// call makes a call until it is answered.
func (s *service) call(method string, args, reply any) error {
	for s.t.Context().Err() == nil {
		if heard, err := s.try(method, args, reply); heard {
			return err
		}
	}
	return s.t.Context().Err()
}

// start starts a run, or finds that it has been.
func (s *service) start(name, runID string, input any) {
	s.t.Helper()
	var id string
	err := s.call("Start", StartArgs{name, runID, encode(s.t, input)}, &id)
	if err != nil && !strings.Contains(err.Error(), "run "+runID+" exists") {
		s.t.Fatal(err)
	}
}

// token waits for a run to have a hook.
func (s *service) token(runID string) string {
	s.t.Helper()
	var hooks []workflow.HookInfo
	waitFor(s.t, func() (found bool) {
		var err error
		if hooks, err = s.api.Hooks(s.t.Context(), runID); err != nil {
			s.t.Fatal(err)
		}
		return len(hooks) > 0
	})
	return hooks[0].Token
}

// waitFor looks until something has come about in another process.
func waitFor(t *testing.T, come func() bool) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !come() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it does not come about")
		}
	}
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// within is a context for what has to come soon.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
