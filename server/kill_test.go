package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

const killEnv = "TENTER_TEST_KILL_SERVER"

// taker takes requests until one's body is "stop", and returns their bodies. Those
// sent to a token that begins with "manual" are answered by the run.
var taker = workflow.Define("taker", func(ctx workflow.Context, token string) ([]string, error) {
	opts := []workflow.WebhookOption{workflow.Token(token)}
	manual := strings.HasPrefix(token, "manual")
	if manual {
		opts = append(opts, workflow.RespondManually())
	}
	w, err := workflow.NewWebhook(ctx, opts...)
	if err != nil {
		return nil, err
	}
	var bodies []string
	for r, err := range w.All(ctx) {
		if err != nil {
			return nil, err
		}
		switch body := string(r.Body); {
		case body == "stop" && manual:
			return bodies, r.Respond(ctx, workflow.Text(200, body))
		case body == "stop":
			return bodies, nil
		case manual && len(bodies)%2 == 0:
			err = workflow.Do(ctx, "answer", func(ctx context.Context) error { return r.Respond(ctx, workflow.Text(200, body)) })
		case manual:
			err = r.Respond(ctx, workflow.Text(200, body))
		}
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, string(r.Body))
	}
	return bodies, nil
})

var killTokens = []string{"plain 1", "plain 2", "manual 1", "manual 2"}

// TestKill kills a process that takes requests, again and again: whoever was told
// that a request was taken must find it delivered, once; whoever was refused, never.
func TestKill(t *testing.T) {
	if path := os.Getenv(killEnv); path != "" {
		serveUntilKilled(t, path)
		return
	}
	t.Parallel()
	kills := 12
	if testing.Short() {
		kills = 3
	}
	path := filepath.Join(t.TempDir(), "a.db")
	w := &witness{taken: map[string]bool{}, refused: map[string]bool{}}
	for round := range kills {
		addr, kill := startServer(t, path)
		w.load(t, addr, round, 20+rand.IntN(150), kill)
	}
	addr, kill := startServer(t, path)
	defer kill()
	for _, token := range killTokens {
		a, err := try(t.Context(), "POST", "http://"+addr+server.WebhookPath+strings.ReplaceAll(token, " ", "%20"), strings.NewReader("stop"))
		if err != nil || a.status >= 300 {
			t.Fatalf("stop %s: %+v, %v", token, a, err)
		}
	}
	delivered := map[string]int{}
	for _, body := range deliveries(t, path) {
		delivered[body]++
	}
	for body, n := range delivered {
		if n > 1 {
			t.Errorf("%q was delivered %d times", body, n)
		}
		if w.refused[body] {
			t.Errorf("%q was refused, and delivered", body)
		}
	}
	for body := range w.taken {
		if delivered[body] == 0 {
			t.Errorf("%q was taken, and not delivered", body)
		}
	}
	t.Logf("%d kills: %d requests taken, %d refused, %d delivered without an answer", kills, len(w.taken), len(w.refused), len(delivered)-len(w.taken))
	if len(w.taken) < kills*20 || len(w.refused) == 0 {
		t.Errorf("too little happened: %d taken, %d refused", len(w.taken), len(w.refused))
	}
}

func deliveries(t *testing.T, path string) []string {
	t.Helper()
	st, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.New(st, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = eng.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []string
	for _, token := range killTokens {
		bodies, err := taker.Get(eng, token).Result(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bodies...)
	}
	return all
}

// witness knows what callers were told.
type witness struct {
	mu             sync.Mutex
	taken, refused map[string]bool
}

// load sends requests until the server, which is killed after some answers, is gone.
func (w *witness) load(t *testing.T, addr string, round, answers int, kill func()) {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 16}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: patience}
	var left atomic.Int64
	left.Store(int64(answers))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				body := fmt.Sprintf("%d.%d.%d", round, g, i)
				method, token, content := "POST", killTokens[(g+i)%len(killTokens)], io.Reader(strings.NewReader(body))
				switch i % 10 {
				case 3:
					token = "unknown"
				case 5:
					method = "GET"
				case 7:
					body += strings.Repeat("x", maxKillBody)
					content = strings.NewReader(body)
				}
				req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+server.WebhookPath+strings.ReplaceAll(token, " ", "%20"), content)
				if err != nil {
					t.Error(err)
					return
				}
				a, err := do(client, req)
				if err != nil {
					if i%10 == 7 && left.Load() > 0 {
						continue // the server has stopped reading
					}
					return
				}
				w.mu.Lock()
				if a.status < 300 {
					w.taken[body] = true
				} else {
					w.refused[body] = true
				}
				w.mu.Unlock()
				if strings.HasPrefix(token, "manual") && a.status == 200 && a.body != body {
					t.Errorf("%q was answered with %q", body, a.body)
				}
				if left.Add(-1) == 0 {
					kill()
				}
			}
		})
	}
	wg.Wait()
}

const maxKillBody = 10_000

// startServer starts a process that takes requests for the database at path. kill
// returns when it is gone.
func startServer(t *testing.T, path string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$") //nolint:noctx // it is killed
	cmd.Env = append(os.Environ(), killEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	addr, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return strings.TrimSpace(addr), kill
}

// serveUntilKilled takes requests, and prints its address when all webhooks are open.
func serveUntilKilled(t *testing.T, path string) {
	st, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	eng, err := engine.New(st, engine.Options{
		Workflows: []workflow.Definition{taker}, PublicURL: "http://" + ln.Addr().String(), Lease: 50 * time.Millisecond,
		MaxPayload: maxKillBody, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { t.Error(eng.Run(t.Context())) }()
	for _, token := range killTokens {
		if _, err := taker.Start(t.Context(), eng, token, workflow.RunID(token)); err != nil && !errors.Is(err, workflow.ErrRunExists) {
			t.Fatal(err)
		}
		tick := time.NewTicker(time.Millisecond)
		for {
			if _, err := eng.Webhook(t.Context(), token); err == nil {
				break
			}
			<-tick.C
		}
		tick.Stop()
	}
	_, _ = fmt.Println(ln.Addr())
	srv := &http.Server{Handler: server.Webhooks(eng, server.Options{Logger: slog.New(slog.DiscardHandler)}), ReadHeaderTimeout: time.Second}
	t.Error(srv.Serve(ln))
}
