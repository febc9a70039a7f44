package postgres

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/faultproxy"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// A lonely server waits for a synchronous standby that is not there.
type lonely struct {
	t *testing.T
	*pgtest.Server
	admin *pgx.Conn
}

// newLonely makes a server, which waits for nobody yet.
func newLonely(t *testing.T) *lonely {
	t.Helper()
	l := &lonely{t: t, Server: pgtest.Start(t, "fsync=off")}
	l.connect()
	return l
}

func (l *lonely) connect() {
	l.t.Helper()
	conn, err := pgx.Connect(l.t.Context(), l.URL())
	if err != nil {
		l.t.Fatal(err)
	}
	l.admin = conn
	l.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(l.t.Context())) })
}

// set changes a setting of the server, which is one of the time after a crash too.
func (l *lonely) set(what string) {
	l.t.Helper()
	for _, sql := range []string{"ALTER SYSTEM " + what, "SELECT pg_reload_conf()"} {
		if _, err := l.admin.Exec(l.t.Context(), sql); err != nil {
			l.t.Fatal(err)
		}
	}
}

// loseStandby returns when commits wait.
func (l *lonely) loseStandby() {
	l.t.Helper()
	l.set("SET synchronous_standby_names = 'lost'")
	conn, err := pgx.Connect(l.t.Context(), l.URL())
	if err != nil {
		l.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for err == nil && !conn.IsClosed() {
			_, err = conn.Exec(context.WithoutCancel(l.t.Context()), "SELECT pg_logical_emit_message(true, '', '')")
		}
	}()
	l.waiting(1)
	if _, err := l.admin.Exec(l.t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"); err != nil {
		l.t.Fatal(err)
	}
	<-gone
	l.waiting(0)
}

// findStandby lets commits go on.
func (l *lonely) findStandby() {
	l.t.Helper()
	l.set("RESET synchronous_standby_names")
}

// waiting waits until a number of commits wait.
func (l *lonely) waiting(n int) {
	l.t.Helper()
	for until := time.Now().Add(time.Minute); ; {
		got := 0
		if err := l.admin.QueryRow(l.t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&got); err != nil {
			l.t.Fatal(err)
		}
		if got == n {
			return
		}
		if time.Now().After(until) {
			l.t.Fatalf("%d commits wait for a standby, want %d", got, n)
		}
	}
}

// A commit whose wait for a standby was canceled is in doubt, whatever has the server commit.
func TestCanceledWaitIsNoSuccess(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	s := open(t, l.URL(), Options{})
	ctx := t.Context()
	openHook(t, s)
	for _, id := range []string{"fenced", "terminated"} {
		if err := s.Start(ctx, newRun(id)); err != nil {
			t.Fatal(err)
		}
	}
	l.loseStandby()
	for what, op := range map[string]func() error{
		"start":  func() error { return s.Start(ctx, newRun("new")) },
		"exists": func() error { return s.Start(ctx, newRun("fenced")) },
		"accept": func() error {
			_, err := s.Accept(ctx, store.Payload{Token: "token", Data: []byte("1")})
			return err
		},
		"apply": func() error {
			create := newRun("created")
			_, err := s.Apply(ctx, &store.Transition{
				RunID: "created", Worker: "w", Epoch: 1, Create: &create, At: s.Now(), Status: store.Waiting,
				Events: []store.Event{{At: s.Now(), Kind: store.Started}},
			})
			return err
		},
		"fence": func() error {
			_, err := s.Fence(ctx, "fenced", "w", 0)
			return err
		},
		"terminate": func() error { return s.Terminate(ctx, "terminated", store.Event{At: s.Now(), Kind: store.RunCanceled}) },
	} {
		done := make(chan error, 1)
		go func() { done <- op() }()
		l.waiting(1)
		if _, err := l.admin.Exec(ctx, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, errCommitCanceled) {
			t.Errorf("%s: %v, want one that says that the outcome is unknown", what, err)
		}
		l.waiting(0)
	}
	l.findStandby()
}

// What no standby has is seen after a crash. Nobody is told that it is there before a standby has
// it.
func TestWhatACrashLeavesIsNotToldTooEarly(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	ctx := t.Context()
	openHook(t, open(t, l.URL(), Options{}))
	l.loseStandby()

	// This one does not wait.
	s := open(t, l.URL()+"&synchronous_commit=local", Options{})
	transition := func(id string, status store.Status, events []store.Event, effects ...store.Effect) *store.Transition {
		create := newRun(id)
		return &store.Transition{RunID: id, Worker: "w", Epoch: 1, Create: &create, At: s.Now(), Status: status, Events: events, Effects: effects}
	}
	started := store.Event{At: s.Now(), Kind: store.Started}
	creation := transition("created", store.Waiting, []store.Event{started})
	end := transition("ended", store.Completed, []store.Event{started, {At: s.Now(), Kind: store.RunCompleted, Data: []byte("1")}})
	webhook := transition("webhook", store.Waiting, []store.Event{started}, store.Effect{
		Kind: store.OpenHook, Hook: store.Hook{ID: "webhook.h1", Token: "webhook", Webhook: []byte("{}"), CreatedAt: s.Now(), OpenedPos: 1},
	})
	payload := store.Payload{Token: "token", Data: []byte("1"), Key: "key", KeepFor: time.Hour}
	request := store.Payload{Token: "webhook", Data: []byte("1"), Key: "key", KeepFor: time.Hour, Request: "q"}
	reserved := newRun("reserved")
	first := store.Payload{Token: "free", Data: []byte("1"), OrStart: &reserved}
	second := first
	second.Token = "other"
	response := store.Response{RunID: "r", Request: "q", Responder: "x", At: s.Now(), KeepUntil: s.Now().Add(time.Hour)}
	accept := func(s *Store, p store.Payload) error {
		_, err := s.Accept(ctx, p)
		return err
	}
	apply := func(s *Store, t *store.Transition) error {
		_, err := s.Apply(ctx, t)
		return err
	}
	for what, err := range map[string]error{
		"start": s.Start(ctx, newRun("new")), "create": apply(s, creation), "end": apply(s, end), "webhook": apply(s, webhook),
		"accept": accept(s, payload), "request": accept(s, request), "reserve": accept(s, first), "respond": s.Respond(ctx, response),
		"close": s.Terminate(ctx, "webhook", store.Event{At: s.Now(), Kind: store.RunCanceled}),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	l.Crash()
	l.Start()
	l.connect()

	// What would be told, and what is told once a standby has it.
	questions := map[string]func(ctx context.Context, s *Store) (told bool, err error){
		"start":    func(ctx context.Context, s *Store) (bool, error) { return taken(s.Start(ctx, newRun("new"))) },
		"create":   func(ctx context.Context, s *Store) (bool, error) { _, err := s.Apply(ctx, creation); return taken(err) },
		"reserved": func(ctx context.Context, s *Store) (bool, error) { _, err := s.Accept(ctx, second); return taken(err) },
		"duplicate": func(ctx context.Context, s *Store) (bool, error) {
			r, err := s.Accept(ctx, payload)
			return r.Duplicate, err
		},
		"duplicate, the hook is closed": func(ctx context.Context, s *Store) (bool, error) {
			r, err := s.Accept(ctx, request)
			return r.Duplicate, err
		},
		"receipt": func(ctx context.Context, s *Store) (bool, error) {
			r, err := s.Receipt(ctx, "webhook")
			return r.Duplicate, err
		},
		"answered before": func(ctx context.Context, s *Store) (bool, error) { return true, s.Respond(ctx, response) },
		"answer": func(ctx context.Context, s *Store) (bool, error) {
			r, err := s.Response(ctx, "q")
			return r.Request == "q", err
		},
		"end": func(ctx context.Context, s *Store) (bool, error) {
			e, err := s.Endings(ctx, []string{"ended", "r"})
			return len(e) == 2, err
		},
	}
	var all sync.WaitGroup
	for what, ask := range questions {
		s := open(t, l.URL(), Options{}) // of its own: what waits would hold up what comes later
		all.Go(func() {
			soon, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if told, err := ask(soon, s); err == nil {
				t.Errorf("%s: it is told (%t) that something is there that no standby has", what, told)
			}
		})
	}
	all.Wait()
	l.findStandby()
	s = open(t, l.URL(), Options{})
	for what, ask := range questions {
		if told, err := ask(ctx, s); err != nil || !told {
			t.Errorf("%s: %t, %v", what, told, err)
		}
	}
}

// taken is what a caller that asks again makes of an error.
func taken(err error) (bool, error) {
	if errors.Is(err, store.ErrExists) {
		return true, nil
	}
	return false, err
}

// A session is confirmed once.
func TestSessionIsConfirmedOnce(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	s := open(t, l.URL()+"&pool_max_conns=1", Options{})
	ctx := t.Context()
	create := newRun("ended")
	if _, err := s.Apply(ctx, &store.Transition{
		RunID: "ended", Worker: "w", Epoch: 1, Create: &create, At: s.Now(), Status: store.Completed,
		Events: []store.Event{{At: s.Now(), Kind: store.Started}, {At: s.Now(), Kind: store.RunCompleted}},
	}); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		soon, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := s.Endings(soon, []string{"ended"})
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	l.loseStandby()
	if err := ask(); err != nil {
		t.Errorf("a session that is confirmed waits for a standby: %v", err)
	}
	s.pool.Reset()
	if err := ask(); err == nil {
		t.Error("a new session does not wait for a standby")
	}
	l.findStandby()
	if err := ask(); err != nil {
		t.Error(err)
	}
	var on bool
	if err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return c.QueryRow(ctx, "SELECT "+confirmed).Scan(&on)
	}); err != nil || !on {
		t.Errorf("the session is confirmed: %t, %v", on, err)
	}
}

// A connection that breaks, or that a caller gives up, leaves the commit waiting for its standby:
// canceled, it would be seen.
func TestBrokenConnectionCancelsNoCommit(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	direct, err := url.Parse(l.TCP())
	if err != nil {
		t.Fatal(err)
	}
	p, err := faultproxy.Listen("tcp", direct.Host, faultproxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	s := open(t, strings.Replace(l.TCP(), direct.Host, p.Addr().String(), 1), Options{})
	l.loseStandby()
	done := make(chan error, 1)
	go func() { done <- s.Start(t.Context(), newRun("new")) }()
	l.waiting(1)
	p.Inject(faultproxy.CutAll)
	if err := <-done; err == nil {
		t.Error("a commit was acknowledged that no standby has")
	}
	// A driver would cancel it at once.
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); {
		n := 0
		if err := l.admin.QueryRow(t.Context(), "SELECT count(*) FROM tenter.runs").Scan(&n); err != nil || n > 0 {
			t.Fatalf("%d runs are seen that no standby has, %v", n, err)
		}
	}
	l.waiting(1)
	l.findStandby()
}

// Of several hosts, one that does not answer does not stand in the way of the others.
func TestHostThatDoesNotAnswerIsPassedOver(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	direct, err := url.Parse(l.TCP())
	if err != nil {
		t.Fatal(err)
	}
	p, err := faultproxy.Listen("tcp", direct.Host, faultproxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Swallow()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := OpenWith(ctx, strings.Replace(l.TCP(), direct.Host, p.Addr().String()+","+direct.Host, 1)+"&target_session_attrs=read-write", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx, newRun("new")); err != nil {
		t.Error(err)
	}
	// It is not tried first again.
	s.pool.Reset()
	began := time.Now()
	if err := s.Start(ctx, newRun("newer")); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= connectTimeout {
		t.Errorf("a new connection took %v", took)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
