package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	// shortLease is for workers that are to be killed.
	shortLease = 200 * time.Millisecond
	// workLease is for workers that are killed and frozen under load.
	workLease = time.Second
	// longLease is for workers that must not lose a run because the machine is slow.
	longLease = 30 * time.Second
)

// processEnv makes the test binary a process of a scenario: its role, as JSON.
const processEnv = "TENTER_SCENARIO_PROCESS"

// A role is what a process has to do.
type role struct {
	Database string        // URL, see openStore
	Lease    time.Duration // of a worker; 0: it executes nothing
	Webhooks bool          // it serves webhooks
	Binary   string        // a test binary of this package; empty: the one that is running
}

// publicURL is where the outside world would find the webhooks of a scenario. The
// test asks one process or another instead.
const publicURL = "http://tenter.test"

func TestMain(m *testing.M) {
	if js := os.Getenv(processEnv); js != "" {
		var r role
		err := json.Unmarshal([]byte(js), &r)
		if err == nil {
			err = r.play()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// processWorkflows are what worker processes execute.
func processWorkflows() []workflow.Definition {
	return append(slices.Clip(loadWorkflows),
		approval.Implement((&approver{}).approve), collection, channelLog, comeAndGo, contender, contract, counterRun, desk, healthy, listener, logging, nextInLine, poisonedStep, poisonedCode,
		window, witness, yearsBot.Implement(tallyMessages),
	)
}

// play plays the role until SIGTERM comes or standard input ends, over which the test
// talks to it.
func (r role) play() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, err := openStore(ctx, r.Database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	d := &door{st: &countingStore{Store: st}}
	if _, ok := st.(*postgres.Store); ok {
		if d.pool, err = pgxpool.New(ctx, r.Database); err != nil {
			return err
		}
		defer d.pool.Close()
	}
	opts := engine.Options{
		PublicURL: publicURL,
		Lease:     r.Lease,
		Logger:    log,
	}
	if r.Lease > 0 {
		opts.Workflows = append(processWorkflows(), sale.Implement((&cashier{d.pool}).handle))
	}
	if d.eng, err = engine.New(d.st, opts); err != nil {
		return err
	}
	if r.Webhooks {
		mux := http.NewServeMux()
		mux.Handle(server.WebhookPath, server.Webhooks(d.eng))
		mux.Handle("POST /desk/{token}", firstRequests(d.eng))
		d.front = httptest.NewServer(mux)
		defer d.front.Close()
	}
	defer func() { err = errors.Join(err, d.eng.Close()) }()
	calls := rpc.NewServer()
	if err := calls.RegisterName("Door", d); err != nil {
		return err
	}
	go func() {
		defer stop()
		calls.ServeConn(pipe{os.Stdin, os.Stdout})
	}()
	if r.Lease == 0 {
		<-ctx.Done()
		return nil
	}
	return d.eng.Run(ctx)
}

// countingStore counts the transitions that were refused because the worker had lost
// the run.
type countingStore struct {
	store.Store
	fenced atomic.Int64
}

func (s *countingStore) Within(tx store.Tx) (store.Joined, error) {
	return s.Store.(store.Joiner).Within(tx) //nolint:forcetypeassert // both stores are
}

func (s *countingStore) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	out, err := s.Store.Apply(ctx, t)
	if errors.Is(err, store.ErrFenced) {
		s.fenced.Add(1)
	}
	return out, err
}

// door is how the test starts and resumes runs in another process, and asks about it.
type door struct {
	eng   *engine.Engine
	st    *countingStore
	front *httptest.Server // of webhooks
	pool  *pgxpool.Pool    // of the app
}

// Ready returns when the process handles signals.
func (d *door) Ready(struct{}, *struct{}) error { return nil }

// Front returns where the process serves webhooks.
func (d *door) Front(_ struct{}, url *string) error {
	*url = d.front.URL
	return nil
}

// Fenced returns how many transitions of the process were refused because it had lost
// the run.
func (d *door) Fenced(_ struct{}, n *int64) error {
	*n = d.st.fenced.Load()
	return nil
}

// Start starts a run.
func (d *door) Start(r workflow.StartRequest, runID *string) (err error) {
	*runID, err = d.eng.StartRun(context.Background(), r)
	return err
}

// Resume sends a payload.
func (d *door) Resume(r workflow.ResumeRequest, info *workflow.HookInfo) (err error) {
	*info, err = d.eng.ResumeHook(context.Background(), r)
	return err
}

// Publish publishes to a topic.
func (d *door) Publish(r workflow.PublishRequest, p *workflow.Publication) (err error) {
	*p, err = d.eng.Publish(context.Background(), r)
	return err
}

// Call sends a request of a call, and waits for the answer.
func (d *door) Call(r workflow.CallRequest, a *workflow.CallAnswer) (err error) {
	*a, err = d.eng.CallHook(context.Background(), r)
	return err
}

// Hooks looks at the open hooks.
func (d *door) Hooks(f inspect.HookFilter, hooks *[]workflow.HookInfo) (err error) {
	*hooks, err = d.eng.Hooks(context.Background(), f)
	return err
}

// Await waits for a run.
func (d *door) Await(runID string, res *workflow.RunResult) (err error) {
	*res, err = d.eng.AwaitRun(context.Background(), runID)
	return err
}

// pipe makes a connection of two files.
type pipe struct {
	io.ReadCloser
	w io.WriteCloser
}

func (p pipe) Write(b []byte) (int, error) { return p.w.Write(b) }

func (p pipe) Close() error { return errors.Join(p.ReadCloser.Close(), p.w.Close()) }

// A process plays a role.
type process struct {
	cmd    *exec.Cmd
	client *rpc.Client
	exited chan struct{}
	status *os.ProcessState // once it has exited
}

func spawn(t *testing.T, r role) *process {
	t.Helper()
	binary := r.Binary
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		binary = self
	}
	cmd := exec.Command(binary) //nolint:noctx // it ends with its standard input, or is killed
	// The race detector need not wait a second at the end.
	cmd.Env = append(os.Environ(), processEnv+"="+string(encode(t, r)), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.Stderr = &lapseWatch{Writer: t.Output(), process: func() int { return cmd.Process.Pid }}
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
		p.status, _ = cmd.Process.Wait() // killed or not, it is gone
	}()
	return p
}

// gone reports whether the process has exited.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill kills the process with SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.exited
	_ = p.client.Close()
}

// A service is a role whose process is started again whenever it has died.
type service struct {
	t    *testing.T
	role role
	api  *engine.Engine // of the test's own process: a client

	mu     sync.Mutex
	p      *process
	closed bool
	deaths int
	keeper sync.WaitGroup
}

// newService starts a worker.
func newService(t *testing.T, db *database, lease time.Duration) *service {
	t.Helper()
	return newRole(t, db, role{Database: db.url, Lease: lease})
}

// newRole starts a process with a role on a database.
func newRole(t *testing.T, db *database, r role) *service {
	t.Helper()
	s := &service{t: t, role: r, api: db.api, p: spawn(t, r)}
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
		s.p = spawn(s.t, s.role)
		s.mu.Unlock()
	}
}

// become has the next process play the role from another binary.
func (s *service) become(binary string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role.Binary = binary
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

// id returns the ID of the process that is up.
func (s *service) id() int { return s.process().cmd.Process.Pid }

// terminate asks the process that is up to end, and returns its exit code.
func (s *service) terminate() (code int) {
	// The signal would kill a process that is still starting.
	if err := s.call("Ready", struct{}{}, &struct{}{}); err != nil {
		s.t.Error(err)
	}
	p := s.process()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	<-p.exited
	_ = p.client.Close()
	return p.status.ExitCode()
}

func (s *service) close() {
	s.mu.Lock()
	s.closed = true
	p := s.p
	s.mu.Unlock()
	_ = p.client.Close() // ends it cleanly
	<-p.exited
	s.keeper.Wait()
	if code := p.status.ExitCode(); code > 0 {
		s.t.Errorf("process %d ended with code %d", p.cmd.Process.Pid, code)
	}
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
	err := s.call("Start", workflow.StartRequest{Workflow: name, RunID: runID, Input: encode(s.t, input)}, &id)
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
		if hooks, err = s.api.Hooks(s.t.Context(), inspect.HookFilter{RunID: runID}); err != nil {
			s.t.Fatal(err)
		}
		return len(hooks) > 0
	})
	return hooks[0].Token
}

// waitFor looks until something has come about in another process.
func waitFor(t *testing.T, come func() bool) {
	t.Helper()
	ctx := within(t)
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

// within is a context for what has to come soon: the limit is far above what anything here takes,
// on a busy machine too.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
